/** What is in a token request, and in a request with a token that was not seen before, besides HTTP: one JWT each. */
import { generateKeyPair, jwtVerify, SignJWT } from 'jose';

export type TokenWork = 'sign a JWT' | 'verify a JWT';

const issuer = 'https://sts.windows.net/00000000-0000-4000-8000-000000000000/';
const audience = 'https://vault.azure.net';

/** As many claims, of the same lengths, as the server's own tokens have. */
const claims = {
  ...{ appid: '00000000-0000-4000-8000-000000000001', appidacr: '1', idp: issuer, idtyp: 'app' },
  ...{ oid: '00000000-0000-4000-8000-000000000002', sub: '00000000-0000-4000-8000-000000000002' },
  ...{ tid: '00000000-0000-4000-8000-000000000000', uti: 'AAAAAAAAAAAAAAAAAAAAAA', ver: '1.0' },
};
const kid = 'A'.repeat(43);

/** Makes the work, with a key of its own: RS256 by jose, which hands it to Web Crypto, off the event loop. */
export async function tokenWork(name: TokenWork): Promise<() => Promise<unknown>> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const sign = () =>
    new SignJWT(claims)
      .setProtectedHeader({ typ: 'JWT', alg: 'RS256', x5t: kid, kid })
      .setAudience(audience)
      .setIssuer(issuer)
      .setIssuedAt()
      .setNotBefore('0s')
      .setExpirationTime('1h')
      .sign(privateKey);
  if (name === 'sign a JWT') return sign;
  const token = await sign();
  return () => jwtVerify(token, publicKey, { algorithms: ['RS256'], issuer, audience });
}
