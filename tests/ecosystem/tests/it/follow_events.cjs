// Follows the live stream of a node as a browser does, by the package eventsource, and holds each event against
// CloudEvents 1.0 by the package cloudevents, whose schema is the specification's.
//
// Usage: follow_events.cjs URL [forget]. The API key is MIRAGE_KEY. Tells the cursor of each event on stderr, until it is
// ended. `forget` resumes without a cursor: what a checker of resumption must notice.
'use strict';

const { createRequire } = require('node:module');
const ask = createRequire(process.env.MIRAGE_NPM);
const { EventSource } = ask('eventsource');
const { CloudEvent } = ask('cloudevents');

const [url, mode] = process.argv.slice(2);

function fail(why) {
  console.error(`fault ${why}`);
  process.exit(1);
}

function is_refused(event) {
  try {
    new CloudEvent(event, true).validate();
    // The package takes any text for a version.
    return event.specversion !== '1.0';
  } catch {
    return true;
  }
}

// A checker that was never seen to refuse proves nothing.
function check_the_checker(event) {
  const { source, ...sourceless } = event;
  const faulty = {
    'no source': sourceless,
    'another version': { ...event, specversion: '0.1' },
    'an empty type': { ...event, type: '' },
    'a schema that is no URI': { ...event, dataschema: 'task found' },
    'a name in capitals': { ...event, Sequence: '1' },
    'no time': { ...event, time: 'yesterday' },
  };
  for (const [what, event] of Object.entries(faulty)) if (!is_refused(event)) fail(`${what} is accepted`);
}

function open(input, init) {
  const headers = { ...init.headers, Authorization: `Bearer ${process.env.MIRAGE_KEY}` };
  if (mode === 'forget') delete headers['Last-Event-ID'];
  return fetch(input, { ...init, headers });
}

const stream = new EventSource(url, { fetch: open });
stream.addEventListener('message', ({ data, lastEventId }) => {
  const event = JSON.parse(data);
  if (is_refused(event)) fail(`${lastEventId} is no CloudEvent: ${data}`);
  if (event.sequence !== lastEventId) fail(`${lastEventId} tells the cursor ${event.sequence}`);
  check_the_checker(event);
  console.error(`heard ${lastEventId}`);
});
stream.addEventListener('reset', () => fail('reset'));
stream.addEventListener('close', ({ data }) => fail(`close ${data}`));
