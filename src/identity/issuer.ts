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
  readonly clientAuthentication: ClientAuthentication;
  /** Resource id of a managed identity. */
  readonly xms_mirid?: string;
  /** For a user's token: what it has in the place of an application's claims. */
  readonly user?: UserClaims;
}

export interface UserClaims {
  readonly userName: string;
  /** The client through which the user signed in. */
  readonly clientId: string;
  /** `scp`, space-separated. */
  readonly scope: string;
  /** Object ids; more than 200 are left out, and the token says so. */
  readonly groups: readonly string[];
}

/** What goes into an ID token (OpenID Connect Core 1.0 §2): for the client itself, to know who signed in. */
export interface IdTokenRequest {
  readonly principal: PrincipalRecord;
  readonly userName: string;
  readonly clientId: string;
  readonly version: TokenVersion;
  readonly issuer: string;
  readonly lifetimeSeconds: number;
  /** As the client sent it. */
  readonly nonce: string | undefined;
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
  issueIdToken(request: IdTokenRequest): Promise<string>;
  /** The JWK set (RFC 7517 §5), each key with `x5t` equal to its `kid`, as Entra ID's have. */
  jwks(): Promise<{ keys: readonly (PublicTokenKey & { readonly x5t: string })[] }>;
}

/** Entra ID's limit of `groups` in a JWT. */
const mostGroups = 200;

export function createTokenIssuer(deps: { keys: KeyRing; clock: Clock; random: Random }): TokenIssuer {
  async function sign(
    members: Record<string, unknown>,
    { audience, issuer, lifetimeSeconds }: { audience: string; issuer: string; lifetimeSeconds: number },
  ): Promise<IssuedToken> {
    if (
      !(Number.isInteger(lifetimeSeconds) && lifetimeSeconds > 0 && lifetimeSeconds <= longestTokenLifetime)
    ) {
      throw new RangeError(`a token lives 1 to ${longestTokenLifetime} seconds`);
    }
    const { kid, key } = await deps.keys.signer();
    const notBefore = unixSeconds(deps.clock.now());
    const expiresAt = notBefore + lifetimeSeconds;
    const token = await new SignJWT(members)
      .setProtectedHeader({ typ: 'JWT', alg: 'RS256', x5t: kid, kid })
      .setAudience(audience)
      .setIssuer(issuer)
      .setIssuedAt(notBefore)
      .setNotBefore(notBefore)
      .setExpirationTime(expiresAt)
      .sign(key);
    return { token, notBefore, expiresAt };
  }

  const uti = () => Buffer.from(deps.random.bytes(16)).toString('base64url');

  return {
    issueToken: (request) => sign({ ...claims(request), uti: uti(), ver: request.version }, request),

    async issueIdToken(request) {
      const { principal, userName, version, nonce } = request;
      const name =
        version === '1.0' ? { unique_name: userName, upn: userName } : { preferred_username: userName };
      const members = {
        ...name,
        name: principal.displayName,
        ...(nonce === undefined ? {} : { nonce }),
        oid: principal.objectId,
        sub: principal.objectId,
        tid: principal.tenantId,
        uti: uti(),
        ver: version,
      };
      return (await sign(members, { ...request, audience: request.clientId })).token;
    },

    async jwks() {
      const keys = await deps.keys.published();
      return { keys: keys.map((key) => ({ ...key, x5t: key.kid })) };
    },
  };
}

/** Entra ID's access token claims; a claim without a value is left out. */
function claims(request: TokenRequest): Record<string, unknown> {
  const { principal, version, user, clientAuthentication } = request;
  const clientId = user?.clientId ?? principal.appId;
  const client =
    version === '1.0'
      ? { appid: clientId, appidacr: clientAuthentication }
      : { azp: clientId, azpacr: clientAuthentication };
  return {
    ...client,
    ...(user === undefined ? applicationClaims(request) : userClaims(user, request)),
    oid: principal.objectId,
    sub: principal.objectId,
    tid: principal.tenantId,
    ...(request.xms_mirid === undefined ? {} : { xms_mirid: request.xms_mirid }),
  };
}

function applicationClaims({ version, issuer }: TokenRequest): Record<string, unknown> {
  return version === '1.0' ? { idp: issuer, idtyp: 'app' } : { idtyp: 'app' };
}

/** A token with `scp` is a user's. */
function userClaims(
  { userName, scope, groups }: UserClaims,
  { version, principal }: TokenRequest,
): Record<string, unknown> {
  const names =
    version === '1.0'
      ? { acr: '1', amr: ['pwd'], unique_name: userName, upn: userName }
      : { preferred_username: userName };
  return {
    ...names,
    name: principal.displayName,
    ...(groups.length > mostGroups ? { hasgroups: true } : { groups }),
    scp: scope,
  };
}
