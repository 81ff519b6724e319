/**
 * Whether names lie within the name constraints of an authority's certificate (RFC 5280 §4.2.1.10), whoever made it.
 * Stricter than validators where they disagree: constraints of kinds that are not read here allow nothing.
 */
import type { GeneralSubtree } from 'pkijs';
import { loadAsn1 } from './asn1-libraries.ts';
import type { CertificateContent } from './certificate-content.ts';
import { commonNameOid, textsOf } from './distinguished-name.ts';
import { formatIpRange, nameConstraintsOid } from './name-constraints.ts';
import { isWithinRange } from './server-names.ts';

/** The part of a certificate's content that constraints are about. */
export type ConstrainedContent = Pick<CertificateContent, 'subject' | 'sans'>;

type Kind = 'email' | 'dns' | 'uri' | 'ip';

interface Subtree {
  readonly kind: Kind;
  /** A host, a mailbox or a range in CIDR form, in lower case but for a mailbox's local part. */
  readonly base: string;
}

interface Constraints {
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
}

/** GeneralName's choice numbers (RFC 5280 §4.2.1.6). */
const kinds: Readonly<Record<number, Kind>> = { 1: 'email', 2: 'dns', 6: 'uri', 7: 'ip' };
const emailAddress = '1.2.840.113549.1.9.1';

/**
 * True if the authority (DER) may certify all names of the content. What validators read as names counts too: an e-mail
 * address in the subject, and the common name of a certificate without DNS names if it looks like one.
 */
export async function mayCertifyNames(authority: Uint8Array, content: ConstrainedContent): Promise<boolean> {
  const constraints = await readConstraints(authority);
  if (constraints === undefined) return true;
  if (constraints === 'unknown') return false;
  return namesOf(content).every(([kind, name]) => isAllowed(constraints, kind, name));
}

/** `unknown` for constraints of kinds that are not read here, and for malformed ones. */
async function readConstraints(authority: Uint8Array): Promise<Constraints | 'unknown' | undefined> {
  const { pki } = await loadAsn1();
  const { extensions = [] } = pki.Certificate.fromBER(Uint8Array.from(authority));
  const extension = extensions.find(({ extnID }) => extnID === nameConstraintsOid);
  if (extension === undefined) return undefined;
  try {
    const read = pki.NameConstraints.fromBER(extension.extnValue.valueBlock.valueHexView);
    return {
      permitted: (read.permittedSubtrees ?? []).map(readSubtree),
      excluded: (read.excludedSubtrees ?? []).map(readSubtree),
    };
  } catch {
    return 'unknown';
  }
}

function readSubtree({ base, minimum, maximum }: GeneralSubtree): Subtree {
  const kind = kinds[base.type];
  // RFC 5280 has no use for a minimum and a maximum, and no validator reads them alike.
  if (kind === undefined || minimum !== 0 || maximum !== undefined) throw new RangeError('another kind');
  if (kind === 'ip') return { kind, base: formatIpRange(base.value.valueBlock.valueHexView) };
  const text = String(base.value);
  return { kind, base: kind === 'email' && text.includes('@') ? mailbox(text) : text.toLowerCase() };
}

/** Hosts compare without case, local parts with it (RFC 5280 §7.5). */
function mailbox(address: string): string {
  const at = address.lastIndexOf('@');
  return `${address.slice(0, at)}${address.slice(at).toLowerCase()}`;
}

function namesOf({ subject, sans }: ConstrainedContent): [Kind, string][] {
  const hosts =
    sans.dnsNames.length > 0 ? sans.dnsNames : textsOf(subject, commonNameOid).filter(looksLikeHost);
  return [
    ...hosts.map((name): [Kind, string] => ['dns', name]),
    ...[...sans.emails, ...textsOf(subject, emailAddress)].map((name): [Kind, string] => ['email', name]),
    ...sans.uris.map((name): [Kind, string] => ['uri', name]),
    ...sans.ipAddresses.map((name): [Kind, string] => ['ip', name]),
  ];
}

function looksLikeHost(text: string): boolean {
  return /^(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$/.test(text);
}

function isAllowed({ permitted, excluded }: Constraints, kind: Kind, name: string): boolean {
  const permittedBases = permitted.filter((subtree) => subtree.kind === kind);
  const excludedBases = excluded.filter((subtree) => subtree.kind === kind);
  return (
    (permittedBases.length === 0 || permittedBases.some(({ base }) => rules[kind].isWithin(name, base))) &&
    !excludedBases.some(({ base }) => rules[kind].mayTouch(name, base))
  );
}

/** `isWithin`: the whole name is in the subtree. `mayTouch`: something that it stands for may be, or it cannot be said. */
interface Rule {
  readonly isWithin: (name: string, base: string) => boolean;
  readonly mayTouch: (name: string, base: string) => boolean;
}

const rules: Readonly<Record<Kind, Rule>> = {
  dns: {
    isWithin: (name, base) => isHostWithin(hostOf(name), base),
    mayTouch: (name, base) =>
      isHostWithin(hostOf(name), base) ||
      // `*.example.com` stands for hosts of a subtree below it.
      (name.startsWith('*.') && isHostWithin(base.replace(/^\./, ''), hostOf(name))),
  },
  email: {
    isWithin: isMailWithin,
    mayTouch: isMailWithin,
  },
  uri: {
    isWithin: (uri, base) => isExactHostWithin(uriHost(uri), base),
    mayTouch: (uri, base) => uriHost(uri) === undefined || isExactHostWithin(uriHost(uri), base),
  },
  ip: {
    isWithin: (address, range) => isAddressWithin(address, range) === true,
    mayTouch: (address, range) => isAddressWithin(address, range) !== false,
  },
};

/** A wildcard names children only, so it lies wherever its parent's children do. */
function hostOf(name: string): string {
  return name.replace(/^\*\./, '').toLowerCase();
}

/** The host or any below it; with a dot in front, which some authorities write, only those below it. */
function isHostWithin(host: string, base: string): boolean {
  if (base === '') return true;
  return base.startsWith('.') ? host.endsWith(base) : host === base || host.endsWith(`.${base}`);
}

/** For mail and URIs a host means that host alone, and a dot in front all below it. */
function isExactHostWithin(host: string | undefined, base: string): boolean {
  if (host === undefined) return false;
  return base.startsWith('.') ? host.endsWith(base) : host === base;
}

function isMailWithin(address: string, base: string): boolean {
  if (base.includes('@')) return mailbox(address) === base;
  return isExactHostWithin(address.slice(address.lastIndexOf('@') + 1).toLowerCase(), base);
}

/** Undefined for what cannot be judged (RFC 5280 §4.2.1.10): no host name, or a user, whom some take for the host. */
function uriHost(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined;
  const { hostname, username, password } = new URL(uri);
  const isName = looksLikeHost(hostname) && !/^[0-9.]+$/.test(hostname);
  return isName && username + password === '' ? hostname.toLowerCase() : undefined;
}

/** Undefined for an address that cannot be compared: IPv4 inside IPv6. */
function isAddressWithin(address: string, range: string): boolean | undefined {
  try {
    return isWithinRange(address, range);
  } catch {
    return undefined;
  }
}
