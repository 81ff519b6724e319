/**
 * Name constraints in a policy: an authority made here may be held to DNS domains and ranges of IP addresses (RFC 5280
 * §4.2.1.10), so that its key is worth little for other names. Azure has no such member.
 */
import { type PermittedNames, parseDomain, parseIpRange } from '../../crypto/x509/server-names.ts';
import { badPolicy, type Given } from './policy-input.ts';

export type NameConstraintsInput = Given<{
  readonly dnsNames?: Given<readonly string[]>;
  readonly ipRanges?: Given<readonly string[]>;
}>;

const mostSubtrees = 100;

/**
 * The names that an authority may certify, in the form in which they compare; undefined for any. Lists that are not
 * given stay as they were, and two empty ones take the constraints away. Throws `badParameter`.
 */
export function parseNameConstraints(
  given: NameConstraintsInput,
  { ca, otherwise }: { ca: boolean; otherwise: PermittedNames | undefined },
): PermittedNames | undefined {
  if (given === undefined || given === null) return ca ? otherwise : undefined;
  const dnsNames = (given.dnsNames ?? otherwise?.dnsNames ?? []).map((name) =>
    parsed(parseDomain, name, 'permitted_dns_names is not a domain without a wildcard'),
  );
  const ipRanges = (given.ipRanges ?? otherwise?.ipRanges ?? []).map((range) =>
    parsed(parseIpRange, range, 'permitted_ip_ranges is not a CIDR range'),
  );
  if (dnsNames.length + ipRanges.length === 0) return undefined;
  if (!ca) throw badPolicy('name_constraints are for authorities only.');
  // A kind of names without a permitted one is not constrained at all, unless it is excluded whole.
  if (dnsNames.length === 0) throw badPolicy('name_constraints need a domain in permitted_dns_names.');
  if (dnsNames.length + ipRanges.length > mostSubtrees)
    throw badPolicy(`name_constraints have at most ${mostSubtrees} entries.`);
  return { dnsNames, ipRanges };
}

function parsed(parse: (text: string) => string, text: string, what: string): string {
  try {
    return parse(text);
  } catch (cause) {
    throw badPolicy(`An entry of ${what}.`, cause);
  }
}
