/** Which names an authority is asked to certify (RFC 8555 §7.1.4, RFC 8738), and which no ACME authority certifies. */
import type { CertificateContent } from '../crypto/x509/certificate-content.ts';
import { commonNameOid, textsOf } from '../crypto/x509/distinguished-name.ts';
import { parseDnsName, parseIpAddress } from '../crypto/x509/server-names.ts';

export interface Identifier {
  readonly type: 'dns' | 'ip';
  /** Lower case; a wildcard is the whole first label. Addresses in canonical form. */
  readonly value: string;
}

/** The content cannot be had from an ACME authority; the message says why. */
export class NotCertifiable extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotCertifiable';
  }
}

/** Of one order; a bound of ours, as authorities have them too (100 at Let's Encrypt). */
const mostIdentifiers = 100;

/**
 * The names of the content, each once: its DNS names and addresses, and common names that are one, since the request
 * must name what the order names (RFC 8555 §7.4). Throws `NotCertifiable`.
 */
export function identifiersOf({ subject, sans, ca }: CertificateContent): readonly Identifier[] {
  if (ca) throw new NotCertifiable('An ACME authority issues no certificates of authorities.');
  if (sans.emails.length > 0 || sans.upns.length > 0 || sans.uris.length > 0) {
    throw new NotCertifiable('An ACME authority certifies DNS names and IP addresses, and nothing else.');
  }
  const found = new Map<string, Identifier>();
  const add = (identifier: Identifier) => found.set(`${identifier.type}:${identifier.value}`, identifier);
  for (const name of sans.dnsNames) add(dns(name));
  for (const address of sans.ipAddresses) add(ip(address));
  for (const name of textsOf(subject, commonNameOid)) {
    const identifier = identifierIn(name);
    if (identifier !== undefined) add(identifier);
  }
  if (found.size === 0) {
    throw new NotCertifiable('The policy has no DNS name or IP address that an authority could certify.');
  }
  if (found.size > mostIdentifiers) {
    throw new NotCertifiable(`More than ${mostIdentifiers} names cannot be asked for in one order.`);
  }
  return [...found.values()];
}

function dns(name: string): Identifier {
  try {
    return { type: 'dns', value: parseDnsName(name) };
  } catch {
    throw new NotCertifiable('A DNS name of the policy is none that an authority could certify.');
  }
}

function ip(address: string): Identifier {
  try {
    return { type: 'ip', value: parseIpAddress(address) };
  } catch {
    throw new NotCertifiable('An IP address of the policy is none that an authority could certify.');
  }
}

/** A common name may be any text: one without a dot is a title, not a host. */
function identifierIn(name: string): Identifier | undefined {
  try {
    return { type: 'ip', value: parseIpAddress(name) };
  } catch {
    // Not an address.
  }
  if (!name.includes('.')) return undefined;
  try {
    return { type: 'dns', value: parseDnsName(name) };
  } catch {
    return undefined;
  }
}

/** An identifier as an authority writes it, in the form in which ours compare. */
export function canonicalIdentifier({ type, value }: { type: string; value: string }): {
  type: string;
  value: string;
} {
  const identifier = type === 'ip' ? identifierIn(value) : undefined;
  return identifier ?? { type, value: value.toLowerCase() };
}
