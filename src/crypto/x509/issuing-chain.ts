/**
 * What an authority may issue, judged by its whole chain as those will who trust the chain's top (RFC 5280 §6.1), before
 * anything is signed. The engine of `pkijs` judges only what is signed already, and by WebCrypto, which lacks P-256K.
 */
import type { X509Certificate } from 'node:crypto';
import { isFailure } from '../../core/errors.ts';
import { loadAsn1 } from './asn1-libraries.ts';
import { distinctCertificates, isIssuedBy, parseCertificate } from './certificate-chain.ts';
import type { CertificateContent } from './certificate-content.ts';
import { type CertificateFacts, readCertificate } from './certificate-reading.ts';
import { mayCertifyNames } from './constrained-names.ts';
import { encodeDistinguishedName } from './distinguished-name-der.ts';

/** An authority that cannot issue what was asked: by itself, or this. The message is for callers. */
export class NotCertifiable extends Error {
  readonly about: 'authority' | 'request';

  constructor(about: 'authority' | 'request', message: string) {
    super(message);
    this.name = 'NotCertifiable';
    this.about = about;
  }
}

/** An authority that its chain allows to issue. Times are Unix milliseconds. */
export interface IssuingChain {
  /** DER, the authority first. */
  readonly certificates: readonly Uint8Array[];
  readonly facts: readonly CertificateFacts[];
  /** When all of the chain is valid. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** How many further authorities may stand between this one and the last certificate; undefined for any number. */
  readonly room: number | undefined;
}

const mostCertificates = 10;
const anyExtendedUsage = '2.5.29.37.0';

/**
 * Reads an authority and finds its issuers among the certificates that it came with, in any order; those that belong to
 * another chain are left out. All DER. Throws `NotCertifiable`.
 */
export async function readIssuingChain(
  authority: Uint8Array,
  others: readonly Uint8Array[],
): Promise<IssuingChain> {
  const certificates = upwards(authority, others);
  if (certificates.length > mostCertificates) throw notAuthority('its chain is too long');
  const facts = await Promise.all(certificates.map(readAuthority));
  const rooms = facts.flatMap(({ content: { pathLength } }, index) =>
    pathLength === undefined ? [] : [pathLength - index],
  );
  const room = rooms.length === 0 ? undefined : Math.min(...rooms);
  if (room !== undefined && room < 0) throw notAuthority('its issuer allows no authority below it');
  return {
    certificates,
    facts,
    notBefore: 1000 * Math.max(...facts.map(({ notBefore }) => notBefore)),
    notAfter: 1000 * Math.min(...facts.map(({ notAfter }) => notAfter)),
    room,
  };
}

/**
 * The content as the authority may sign it; an authority below it says its own bound where the chain has one. Throws
 * `NotCertifiable` for what validators would refuse or what would make the chain ambiguous.
 */
export async function certifiableContent(
  chain: IssuingChain,
  content: CertificateContent,
): Promise<CertificateContent> {
  if (content.keyUsage.includes('keyCertSign') && !content.ca)
    throw notCertifiable('keyCertSign is for authorities only (basic_constraints)');
  const usages = chain.facts.map((facts) => facts.content.ekus).filter(limitsUsage);
  const missing = content.ekus.find((usage) => usages.some((allowed) => !allowed.includes(usage)));
  if (missing !== undefined)
    throw notCertifiable(`the authority is not for the extended key usage ${missing}`);
  for (const certificate of chain.certificates) {
    if (!(await mayCertifyNames(certificate, content)))
      throw notCertifiable("a name is outside the authority's name constraints");
  }
  await assertOtherSubject(chain, content.subject);
  return content.ca ? { ...content, pathLength: pathLengthBelow(chain, content) } : content;
}

function pathLengthBelow({ room }: IssuingChain, { pathLength }: CertificateContent): number | undefined {
  if (room === undefined) return pathLength;
  if (room < 1) throw notCertifiable('the authority may not certify authorities (path length)');
  if (pathLength !== undefined && pathLength >= room)
    throw notCertifiable(`the path length below this authority is at most ${room - 1}`);
  return pathLength ?? room - 1;
}

function limitsUsage(ekus: readonly string[]): boolean {
  return ekus.length > 0 && !ekus.includes(anyExtendedUsage);
}

async function readAuthority(certificate: Uint8Array): Promise<CertificateFacts> {
  const facts = await readFacts(certificate);
  const { ca, keyUsage } = facts.content;
  if (!ca) throw notAuthority('it is not an authority (basic constraints)');
  if (keyUsage.length > 0 && !keyUsage.includes('keyCertSign'))
    throw notAuthority('its key usage has no keyCertSign');
  // RFC 5280 §4.1.2.4: who issues has a name.
  if (facts.subject === '') throw notAuthority('it has no subject');
  return facts;
}

async function readFacts(certificate: Uint8Array): Promise<CertificateFacts> {
  try {
    return await readCertificate(certificate);
  } catch (error) {
    if (isFailure(error, 'badParameter')) throw notAuthority('it cannot be read');
    throw error;
  }
}

/** Chains are found by names: a certificate with an issuer's own name would seem to be issued by itself. */
async function assertOtherSubject(chain: IssuingChain, subject: string): Promise<void> {
  const { pki } = await loadAsn1();
  const asked = Buffer.from(await encodeDistinguishedName(subject));
  const isTaken = chain.certificates.some((certificate) => {
    const decoded = pki.Certificate.fromBER(Uint8Array.from(certificate));
    return asked.equals(Buffer.from(decoded.subject.valueBeforeDecode));
  });
  if (isTaken) throw notCertifiable('the subject is that of an authority of the chain');
}

/** The authority, who issued it, who issued that: as far as signatures lead. */
function upwards(authority: Uint8Array, others: readonly Uint8Array[]): Uint8Array[] {
  const [first, ...rest] = distinctCertificates([authority, ...others].map(parsed));
  const left = new Set(rest);
  const chain = first === undefined ? [] : [first];
  for (const certificate of chain) {
    const issuer = [...left].find((candidate) => isIssuedBy(certificate, candidate));
    if (issuer === undefined || isIssuedBy(certificate, certificate)) break;
    left.delete(issuer);
    // The array grows while it is walked.
    chain.push(issuer);
  }
  return chain.map(({ raw }) => Uint8Array.from(raw));
}

function parsed(certificate: Uint8Array): X509Certificate {
  try {
    return parseCertificate(certificate);
  } catch {
    throw notAuthority('it cannot be read');
  }
}

function notAuthority(why: string): NotCertifiable {
  return new NotCertifiable('authority', `The authority's certificate cannot issue: ${why}.`);
}

function notCertifiable(why: string): NotCertifiable {
  return new NotCertifiable('request', `The authority does not issue this certificate: ${why}.`);
}
