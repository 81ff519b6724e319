/**
 * From the claims of a verified token to a principal: Entra ID's claims strictly for tokens of our own, and a
 * configurable reading of what external issuers put into theirs.
 */
import { isGuid } from '../core/names.ts';
import type { Principal } from '../core/principal.ts';
import { nameBasedGuid } from '../crypto/digests.ts';
import { type Members, malformed, textMember } from './compact-token.ts';
import type { TokenVersion } from './issuer-names.ts';

/** Which claims of an external issuer's tokens say who calls. */
export interface ClaimNames {
  /** Default `sub`. A GUID is taken as it is, anything else is mapped to a stable GUID. */
  readonly objectId?: string;
  /** Default: the first of `appid`, `azp` and `client_id`. */
  readonly appId?: string;
}

/** An issuer outside this server whose tokens are accepted, for one tenant. */
export interface ExternalIssuer {
  /** `iss`, compared exactly. */
  readonly issuer: string;
  /** Where its keys are; by default its discovery document says. */
  readonly jwksUri?: string;
  /** Audiences accepted from this issuer besides those of the API that is called. */
  readonly audiences: readonly string[];
  /** The tenant whose principals its tokens name; a `tid` in a token must be the same. */
  readonly tenantId: string;
  /** Default RS256 and ES256. */
  readonly algorithms?: readonly string[];
  readonly claims?: ClaimNames;
}

/** Namespace of the GUIDs that stand for subjects of external issuers; changing it would orphan every grant. */
const subjectNamespace = '6c2f6d5e-0a36-4c58-9d5b-6a1f4a1d7e90';

/** The principal of one of our own tokens; fails with `unauthorized` if a claim is missing or misshapen. */
export function ownPrincipal(
  claims: Members,
  form: { version: TokenVersion; issuerOf: (tenantId: string) => string },
): Principal {
  if (claims.ver !== form.version) throw malformed("the claim 'ver' does not fit the issuer");
  const kind = ownKind(claims);
  requireNumber(claims, 'iat');
  requireNumber(claims, 'nbf');
  const tenantId = requireGuid(claims, 'tid');
  return {
    objectId: requireGuid(claims, 'oid'),
    tenantId,
    appId: requireGuid(claims, form.version === '1.0' ? 'appid' : 'azp'),
    kind,
    issuer: form.issuerOf(tenantId),
    userName: userName(claims),
    groups: groups(claims),
  };
}

/**
 * An application's token says so in `idtyp`, a user's has the scopes that the user's client may use. One that has neither
 * is no access token: ID tokens are signed with the same keys.
 */
function ownKind(claims: Members): Principal['kind'] {
  const idtyp = textMember(claims, 'idtyp');
  const scopes = textMember(claims, 'scp');
  if (idtyp === 'app' && scopes === undefined) return 'application';
  if ((idtyp === undefined || idtyp === 'user') && scopes !== undefined) return 'user';
  throw malformed("the claims 'idtyp' and 'scp' say neither application nor user");
}

/** The principal of an external issuer's token; fails with `unauthorized` if it cannot be told. */
export function externalPrincipal(claims: Members, row: ExternalIssuer): Principal {
  const tenantId = textMember(claims, 'tid');
  if (tenantId !== undefined && tenantId.toLowerCase() !== row.tenantId.toLowerCase()) {
    throw malformed("the claim 'tid' names another tenant than the one its issuer is trusted for");
  }
  const name = row.claims?.objectId ?? 'sub';
  const subject = textMember(claims, name);
  if (subject === undefined) throw malformed(`the claim '${name}' is missing`);
  const user = userName(claims);
  const type = textMember(claims, 'idtyp');
  return {
    objectId: subjectObjectId(row.issuer, subject),
    tenantId: row.tenantId.toLowerCase(),
    appId: clientId(claims, row.claims?.appId),
    kind: type === 'user' || (type === undefined && user !== undefined) ? 'user' : 'application',
    issuer: row.issuer,
    userName: user,
    groups: groups(claims),
  };
}

/** The object id of an external issuer's subject: a GUID as it is, anything else as a GUID derived from both. */
export function subjectObjectId(issuer: string, subject: string): string {
  return isGuid(subject) ? subject.toLowerCase() : subjectGuid(issuer, subject);
}

/** The object id that stands for an external issuer's subject: role assignments name it. */
export function subjectGuid(issuer: string, subject: string): string {
  // JSON keeps the two apart whatever characters they hold.
  return nameBasedGuid(subjectNamespace, JSON.stringify([issuer, subject]));
}

/** The values of `aud`, one or several (RFC 7519 §4.1.3). */
export function audiencesOf(claims: Members): readonly string[] {
  const { aud } = claims;
  const values: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (values.length === 0 || !values.every((value) => typeof value === 'string')) {
    throw malformed("the claim 'aud' is not a string or a list of strings");
  }
  return values;
}

function clientId(claims: Members, name: string | undefined): string | undefined {
  if (name !== undefined) return textMember(claims, name);
  return textMember(claims, 'appid') ?? textMember(claims, 'azp') ?? textMember(claims, 'client_id');
}

function userName(claims: Members): string | undefined {
  return textMember(claims, 'upn') ?? textMember(claims, 'preferred_username');
}

/** Object ids of groups; names that are no GUIDs can be named by no policy and are left out. */
function groups(claims: Members): readonly string[] {
  if (!Object.hasOwn(claims, 'groups')) return [];
  const value: unknown = claims.groups;
  if (!Array.isArray(value) || !value.every((group) => typeof group === 'string')) {
    throw malformed("the claim 'groups' is not a list of strings");
  }
  return value.filter(isGuid).map((group) => group.toLowerCase());
}

function requireGuid(claims: Members, name: string): string {
  const value = textMember(claims, name);
  if (value === undefined || !isGuid(value)) throw malformed(`the claim '${name}' is not a GUID`);
  return value.toLowerCase();
}

function requireNumber(claims: Members, name: string): void {
  if (!Number.isFinite(claims[name])) throw malformed(`the claim '${name}' is not a number`);
}
