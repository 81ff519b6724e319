/**
 * The embedded token service: access tokens with the claims of Entra ID's v1.0 and v2.0 forms, signed RS256 with
 * rotating keys that are published as a JWKS. Who may have which token is decided by the caller.
 */
import { SignJWT } from 'jose';
import { type Clock, unixSeconds } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import type { PublicTokenKey } from '../crypto/token-keys.ts';
import type { TokenVersion } from './issuer-names.ts';
import type { KeyRing } from './key-ring.ts';
import type { PrincipalRecord } from './principals.ts';
import { longestTokenLifetime } from './signing-keys.ts';

/** How the client proved itself (`appidacr`, `azpacr`): not at all, by a secret, by a certificate or assertion. */
export type ClientAuthentication = '0' | '1' | '2';

/** What goes into a token. */
export interface TokenRequest {
  readonly principal: PrincipalRecord;
  /** `aud`, as the client is to find it. */
  readonly audience: string;
  readonly version: TokenVersion;
  /** `iss`, from `issuerOf`. */
  readonly issuer: string;
  /** 1 to 86,400. */
  readonly lifetimeSeconds: number;
  readonly idtyp: 'app' | 'user';
  readonly clientAuthentication: ClientAuthentication;
  /** Resource id of a managed identity. */
  readonly xms_mirid?: string;
  /** A user's name, and the application that the user signed in through. */
  readonly user?: {
    readonly userName: string;
    readonly clientId: string;
    readonly groups: readonly string[];
  };
}

/** A signed token; the times are Unix seconds. */
export interface IssuedToken {
  readonly token: string;
  readonly notBefore: number;
  readonly expiresAt: number;
}

/** Issues tokens, publishes keys. The keys behind it are also the validator's (`VerificationKeys`). */
export interface TokenIssuer {
  issueToken(request: TokenRequest): Promise<IssuedToken>;
  /** The JWK set (RFC 7517 §5), each key with `x5t` equal to its `kid`, as Entra ID's have. */
  jwks(): Promise<{ keys: readonly (PublicTokenKey & { readonly x5t: string })[] }>;
}

export function createTokenIssuer(deps: { keys: KeyRing; clock: Clock; random: Random }): TokenIssuer {
  return {
    async issueToken(request) {
      const { lifetimeSeconds } = request;
      if (
        !(Number.isInteger(lifetimeSeconds) && lifetimeSeconds > 0 && lifetimeSeconds <= longestTokenLifetime)
      ) {
        throw new RangeError(`a token lives 1 to ${longestTokenLifetime} seconds`);
      }
      const { kid, key } = await deps.keys.signer();
      const notBefore = unixSeconds(deps.clock.now());
      const expiresAt = notBefore + lifetimeSeconds;
      const uti = Buffer.from(deps.random.bytes(16)).toString('base64url');
      const token = await new SignJWT({ ...claims(request), uti, ver: request.version })
        .setProtectedHeader({ typ: 'JWT', alg: 'RS256', x5t: kid, kid })
        .setAudience(request.audience)
        .setIssuer(request.issuer)
        .setIssuedAt(notBefore)
        .setNotBefore(notBefore)
        .setExpirationTime(expiresAt)
        .sign(key);
      return { token, notBefore, expiresAt };
    },

    async jwks() {
      const keys = await deps.keys.published();
      return { keys: keys.map((key) => ({ ...key, x5t: key.kid })) };
    },
  };
}

/** Entra ID's access token claims; a claim without a value is left out. */
function claims(request: TokenRequest): Record<string, unknown> {
  const { principal, version, user } = request;
  const clientId = user?.clientId ?? principal.appId;
  const client =
    version === '1.0'
      ? { appid: clientId, appidacr: request.clientAuthentication, idp: request.issuer }
      : { azp: clientId, azpacr: request.clientAuthentication };
  const name = version === '1.0' ? { upn: user?.userName } : { preferred_username: user?.userName };
  return {
    ...client,
    ...(user === undefined ? {} : { ...name, groups: user.groups }),
    idtyp: request.idtyp,
    oid: principal.objectId,
    sub: principal.objectId,
    tid: principal.tenantId,
    ...(request.xms_mirid === undefined ? {} : { xms_mirid: request.xms_mirid }),
  };
}
