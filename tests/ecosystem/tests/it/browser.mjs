// Signs in at a gateway as a browser does: follows redirects, keeps cookies, fills the issuer's forms.
//
// Usage: browser.mjs START LOGIN [abort]. Tells the answer of /whoami as `in JSON`, or `refused CODE`. `abort` says no when
// the issuer asks for consent.
const [start, login, mode] = process.argv.slice(2);
const gateway = new URL(start).origin;
const jar = new Map();

function keep(headers) {
  for (const line of headers.getSetCookie()) {
    const [pair, ...attributes] = line.split(';').map((part) => part.trim());
    const named = Object.fromEntries(attributes.map((text) => {
      const [name, value] = text.split('=');
      return [name.toLowerCase(), value];
    }));
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    const is_over = named['max-age'] === '0' || value === '';
    const key = `${name} ${named.path ?? '/'}`;
    if (is_over) jar.delete(key);
    else jar.set(key, { path: named.path ?? '/', pair });
  }
}

// Cookies of a host are of all its ports.
function cookies(url) {
  const fit = [...jar.values()].filter(({ path }) => new URL(url).pathname.startsWith(path));
  return fit.map(({ pair }) => pair).join('; ');
}

async function send(url, options = {}) {
  const headers = { ...options.headers, Cookie: cookies(url) };
  const answer = await fetch(url, { ...options, headers, redirect: 'manual' });
  keep(answer.headers);
  return answer;
}

function submit(url, fields) {
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  return send(url, { method: 'POST', headers, body: new URLSearchParams(fields).toString() });
}

async function browse(url) {
  let answer = await send(url);
  for (let step = 0; step < 20; step += 1) {
    const to = answer.headers.get('location');
    if (to) {
      url = new URL(to, url).href;
      if (new URL(url).searchParams.has('access_token')) throw new Error('a token in an address');
      answer = await send(url);
      continue;
    }
    if (url.startsWith(gateway)) return answer;
    const page = await answer.text();
    const action = /<form[^>]* action="([^"]*)"/.exec(page)?.[1].replaceAll('&amp;', '&');
    if (!action) throw new Error(`no form at ${url}: ${page}`);
    const is_consent = page.includes('name="prompt" value="consent"');
    if (!is_consent) answer = await submit(action, { prompt: 'login', login, password: 'of no use' });
    else if (mode === 'abort') answer = await send(`${action}/abort`);
    else answer = await submit(action, { prompt: 'consent' });
  }
  throw new Error('too many steps');
}

async function told(answer) {
  const body = await answer.json();
  if (answer.ok) return body;
  console.log(`refused ${body.code}`);
  process.exit(0);
}

const { code } = await told(await browse(start));
const headers = { 'Content-Type': 'application/json' };
const redeem = { method: 'POST', headers, body: JSON.stringify({ code }) };
const granted = await told(await send(`${gateway}/api/v1/oidc/token`, redeem));
const bearer = { Authorization: `Bearer ${granted.access_token}` };
const whoami = await told(await fetch(`${gateway}/api/v1/whoami`, { headers: bearer }));
console.log(`in ${JSON.stringify(whoami)}`);
