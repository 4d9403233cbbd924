// An issuer of OpenID Connect, by the package oidc-provider, with its own pages for signing in and for consent.
//
// Usage: issuer.mjs REDIRECT ALGORITHM METHOD. Takes one client, `mirage-gateway`, and whoever signs in is who they say
// they are. Tells `issuer URL` once it listens, and runs until it is ended.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const ask = createRequire(process.env.MIRAGE_NPM);
const { default: Provider } = await import(pathToFileURL(ask.resolve('oidc-provider')));

const [redirect, algorithm, method] = process.argv.slice(2);

function key(kind, options, alg) {
  const { privateKey } = generateKeyPairSync(kind, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: alg };
}

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`;
  const secret = method === 'none' ? {} : { client_secret: process.env.MIRAGE_OIDC_SECRET };
  const provider = new Provider(url, {
    clients: [{
      client_id: 'mirage-gateway',
      ...secret,
      token_endpoint_auth_method: method,
      redirect_uris: [redirect],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      id_token_signed_response_alg: algorithm,
    }],
    jwks: {
      keys: [
        key('ec', { namedCurve: 'P-256' }, 'ES256'),
        key('ed25519', {}, 'EdDSA'),
        key('rsa', { modulusLength: 2048 }, 'RS256'),
        key('rsa', { modulusLength: 2048 }, 'PS256'),
      ],
    },
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'EdDSA', 'RS256', 'PS256'] },
    cookies: { keys: ['not for anybody but this test'] },
    pkce: { required: () => true },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  provider.on('server_error', (_, error) => console.error(`fault ${error.stack}`));
  server.on('request', provider.callback());
  console.error(`issuer ${url}`);
});
