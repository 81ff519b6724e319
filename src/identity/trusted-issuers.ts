/**
 * Issuers whose tokens are believed without anybody's registration: this server's own, and those that the configuration
 * names. Their keys are fetched and kept here alone, whoever verifies tokens with them.
 */
import { isGuid } from '../core/names.ts';
import { type IssuerNames, issuerOf, type TokenVersion } from './issuer-names.ts';
import { createRemoteKeys, type RemoteKeysDeps } from './remote-keys.ts';
import type { ExternalIssuer } from './token-claims.ts';
import type { VerificationKeys } from './verification-keys.ts';

/** An issuer and its keys; `isOwn` for this server's, whose subjects are the object ids of its directory. */
export type TrustedIssuer = OwnIssuer | OutsideIssuer;

export interface OwnIssuer {
  readonly isOwn: true;
  readonly keys: VerificationKeys;
  readonly names: IssuerNames;
  readonly version: TokenVersion;
  /** The tenant in the issuer's name, as it is written there. */
  readonly tenantId: string;
}

export interface OutsideIssuer {
  readonly isOwn: false;
  readonly keys: VerificationKeys;
  readonly row: ExternalIssuer;
}

/** Finds the one source of keys for an `iss`, compared to the letter; undefined for issuers that are not trusted. */
export type TrustedIssuers = (issuer: string) => TrustedIssuer | undefined;

export interface TrustedIssuersDeps extends RemoteKeysDeps {
  /** Keys of the embedded service (see `key-ring.ts`). */
  readonly ownKeys: VerificationKeys;
}

const usualAlgorithms = ['RS256', 'ES256'];

/**
 * Nothing is fetched before the first token. An external issuer of the same name as one of our own takes it over. Throws
 * `TypeError` for external issuers that are not safe to ask, or configured twice.
 */
export function createTrustedIssuers(
  deps: TrustedIssuersDeps,
  of: { ownIssuers: readonly IssuerNames[]; externalIssuers: readonly ExternalIssuer[] },
): TrustedIssuers {
  const outside = new Map<string, OutsideIssuer>();
  for (const row of of.externalIssuers) {
    if (outside.has(row.issuer)) throw new TypeError(`the external issuer ${row.issuer} is configured twice`);
    const keys = createRemoteKeys(deps, { ...row, algorithms: row.algorithms ?? usualAlgorithms });
    outside.set(row.issuer, { isOwn: false, keys, row });
  }
  const own = of.ownIssuers.flatMap((names) => [
    { names, version: '1.0' as const, pattern: names.v1.split('{tid}') },
    { names, version: '2.0' as const, pattern: names.v2.split('{tid}') },
  ]);
  return (issuer) => {
    const found = outside.get(issuer);
    if (found !== undefined) return found;
    for (const { names, version, pattern } of own) {
      const [before = '', after = ''] = pattern;
      const tenantId = issuer.slice(before.length, issuer.length - after.length);
      if (isGuid(tenantId) && issuerOf(names, version, tenantId) === issuer)
        return { isOwn: true, keys: deps.ownKeys, names, version, tenantId };
    }
    return undefined;
  };
}
