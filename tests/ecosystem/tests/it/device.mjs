// Lets a device in and refreshes its tokens, by the package openid-client and what the gateway says of itself.
//
// Usage: device.mjs ADDRESS. Tells the code for a person as `code CODE`; then `in`, `refreshed`, `over` as each comes about.
import { pathToFileURL } from 'node:url';

// Its exports are for `import` alone, so no resolver of `require` finds it.
const entry = new URL('node_modules/openid-client/build/index.js', pathToFileURL(process.env.MIRAGE_NPM));
const client = await import(entry);

const [address] = process.argv.slice(2);
const options = { algorithm: 'oauth2', execute: [client.allowInsecureRequests] };
const configuration = await client.discovery(new URL(address), 'laptop', undefined, client.None(), options);
const begun = await client.initiateDeviceAuthorization(configuration, {});
if (!begun.verification_uri.startsWith(address)) throw new Error(begun.verification_uri);
console.error(`code ${begun.user_code}`);

async function whoami(tokens) {
  const answer = await client.fetchProtectedResource(
    configuration, tokens.access_token, new URL(`${address}/api/v1/whoami`), 'GET');
  return answer.status;
}

const granted = await client.pollDeviceAuthorizationGrant(configuration, begun);
if (await whoami(granted) !== 200) throw new Error('the access token opens nothing');
console.error('in');
const next = await client.refreshTokenGrant(configuration, granted.refresh_token);
if (await whoami(next) !== 200) throw new Error('the refreshed token opens nothing');
console.error('refreshed');

async function refused(token) {
  try {
    await client.refreshTokenGrant(configuration, token);
  } catch (error) {
    return error.error;
  }
  return 'nothing';
}

// A second use: then two hold it, and the session is over.
if (await refused(granted.refresh_token) !== 'invalid_grant') throw new Error('used twice');
if (await refused(next.refresh_token) !== 'invalid_grant') throw new Error('the session goes on');
try {
  await whoami(next);
  throw new Error('the access token still opens');
} catch (error) {
  if (error.cause?.at?.(0)?.scheme !== 'bearer') throw error;
}
console.error('over');
