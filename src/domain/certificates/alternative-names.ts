/** Subject alternative names in a policy: no name is changed, since what a policy shows is what it was given. */
import { isAlternativeName, type NameKind } from '../../crypto/x509/alternative-names.ts';
import type { SubjectAlternativeNames } from '../../crypto/x509/certificate-content.ts';
import { badPolicy, type Given } from './policy-input.ts';

/** The kinds that were said, each in the order given. */
export type AlternativeNames = Readonly<Partial<SubjectAlternativeNames>>;

export type AlternativeNamesInput = {
  readonly [Kind in NameKind]?: Given<readonly string[]>;
};

/** Of all kinds together: what public authorities take in one certificate. */
export const mostNames = 100;

/** The member of the API, and what an entry of it is. */
const kinds: Readonly<Record<NameKind, { readonly member: string; readonly what: string }>> = {
  emails: { member: 'emails', what: 'an e-mail address in ASCII' },
  dnsNames: {
    member: 'dns_names',
    what: 'a DNS name in ASCII, of labels of at most 63 and together at most 253 characters, the first of which may be *',
  },
  upns: { member: 'upns', what: 'a user principal name' },
  uris: { member: 'uris', what: 'an absolute URI in ASCII' },
  ipAddresses: { member: 'ipAddresses', what: 'an IPv4 or IPv6 address' },
};
const kindNames = Object.keys(kinds) as NameKind[];

/** The names as given; kinds that are not given stay as they were. Throws `badParameter`. */
export function parseAlternativeNames(
  given: Given<AlternativeNamesInput>,
  was: AlternativeNames | undefined,
): AlternativeNames | undefined {
  if (given === undefined || given === null) return was;
  const names: { -readonly [Name in NameKind]?: readonly string[] } = {};
  for (const kind of kindNames) {
    const list = given[kind] ?? was?.[kind];
    if (list !== undefined) names[kind] = list;
    // What stays was taken before, and may be an imported certificate's.
    for (const name of given[kind] ?? []) assertName(kind, name);
  }
  const isChanged = kindNames.some((kind) => given[kind] !== undefined && given[kind] !== null);
  if (isChanged && Object.values(names).flat().length > mostNames)
    throw badPolicy(`At most ${mostNames} subject alternative names.`);
  return names;
}

function assertName(kind: NameKind, name: string): void {
  const { member, what } = kinds[kind];
  if (!isAlternativeName(kind, name)) throw badPolicy(`An entry of ${member} is not ${what}.`);
}
