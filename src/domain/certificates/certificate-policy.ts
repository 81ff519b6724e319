/**
 * The policy of a certificate: what each new version of it is to be, and what is done over its lifetime. Pure rules:
 * what callers say is checked, completed with Azure's defaults (recorded) or with the policy that was there, and kept
 * as JSON. Nothing here knows whether an issuer or a kind of key is there.
 */
import { isFailure } from '../../core/errors.ts';
import { isObjectName } from '../../core/names.ts';
import { isAlternativeName } from '../../crypto/x509/alternative-names.ts';
import type { CertificateContent, KeyUsage } from '../../crypto/x509/certificate-content.ts';
import { commonNameOid, parseDistinguishedName, textsOf } from '../../crypto/x509/distinguished-name.ts';
import { isObjectIdentifier } from '../../crypto/x509/object-identifiers.ts';
import type { PermittedNames } from '../../crypto/x509/server-names.ts';
import type { CertificateFormat } from '../secrets/secrets.ts';
import {
  type AlternativeNames,
  type AlternativeNamesInput,
  parseAlternativeNames,
} from './alternative-names.ts';
import { type CertificateKey, type CertificateKeyInput, parseCertificateKey } from './certificate-key.ts';
import {
  type LifetimeAction,
  type LifetimeActionInput,
  parseLifetimeActions,
  usualAction,
} from './lifetime.ts';
import { type NameConstraintsInput, parseNameConstraints } from './name-constraints.ts';
import { badPolicy, type Given } from './policy-input.ts';

/** Who issues: `Self`, `Unknown` (a request is made and its certificate merged), or an issuer object of the vault. */
export interface PolicyIssuer {
  /** As its caller wrote it; names compare without case. */
  readonly name: string;
  /** `cty`: the kind of certificate in the provider's own words. */
  readonly certificateType: string | undefined;
  readonly transparency: boolean | undefined;
}

/** The X.509 part of a policy. */
export interface PolicyContent {
  /** RFC 4514 text as its caller wrote it; empty for none. */
  readonly subject: string;
  /** Undefined if the policy never said any; a kind is there if it was said, even with no name in it. */
  readonly sans: AlternativeNames | undefined;
  /** Dotted object identifiers; none: no such extension. */
  readonly ekus: readonly string[];
  /** In the order of Azure, which is that of the alphabet; none: no such extension. */
  readonly keyUsage: readonly KeyUsage[];
  readonly validityMonths: number;
  readonly ca: boolean;
  /** How many authorities may follow below; for authorities only. */
  readonly pathLength: number | undefined;
  /** The only names that may be certified below; for authorities only. Not of Azure. */
  readonly nameConstraints: PermittedNames | undefined;
}

export interface CertificatePolicy {
  readonly key: CertificateKey;
  /** What the linked secret holds. */
  readonly contentType: CertificateFormat;
  readonly x509: PolicyContent;
  readonly lifetimeActions: readonly LifetimeAction[];
  readonly issuer: PolicyIssuer;
  readonly enabled: boolean;
}

/** A policy as a caller asks for it: nothing checked; what is null or absent is not given. */
export interface PolicyInput {
  readonly key?: Given<CertificateKeyInput>;
  readonly contentType?: Given<string>;
  readonly x509?: Given<PolicyContentInput>;
  readonly lifetimeActions?: Given<readonly LifetimeActionInput[]>;
  readonly issuer?: Given<{
    readonly name?: Given<string>;
    readonly certificateType?: Given<string>;
    readonly transparency?: Given<boolean>;
  }>;
  readonly enabled?: Given<boolean>;
}

export interface PolicyContentInput {
  readonly subject?: Given<string>;
  readonly sans?: Given<AlternativeNamesInput>;
  readonly ekus?: Given<readonly string[]>;
  readonly keyUsage?: Given<readonly string[]>;
  /** 0 counts as not given: Azure's document allows it, and no certificate can have it. */
  readonly validityMonths?: Given<number>;
  readonly ca?: Given<boolean>;
  readonly pathLength?: Given<number>;
  readonly nameConstraints?: NameConstraintsInput;
}

const usualContentType: CertificateFormat = 'application/x-pkcs12';
const usualMonths = 12;
const usualUsage: readonly KeyUsage[] = ['digitalSignature', 'keyEncipherment'];
/** TLS servers and TLS clients (RFC 5280 §4.2.1.12). */
const usualEkus = ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'];
/** Of an authority, which Azure's API cannot ask for: what it is for, and nothing that would bind those below it. */
const usualOfAuthority: { usage: readonly KeyUsage[]; ekus: readonly string[] } = {
  usage: ['cRLSign', 'keyCertSign'],
  ekus: [],
};
/** Who issues where nobody is named (recorded). */
export const unknownIssuer: PolicyIssuer = {
  name: 'Unknown',
  certificateType: undefined,
  transparency: undefined,
};

/** Months: a thousand years, which every form of date holds. Azure says no bound. */
export const longestValidity = 12_000;
const longestCertificateType = 64;
const mostEkus = 64;
const deepestPath = 255;

/**
 * The policy that a caller asks for. With `previous`, members that are not given stay as they are (PATCH); without it
 * they take Azure's defaults, so that nothing is left of a policy that is replaced. Throws `badParameter`.
 */
export function parseCertificatePolicy(
  input: PolicyInput,
  { previous }: { previous?: CertificatePolicy | undefined } = {},
): CertificatePolicy {
  const issuer = parseIssuer(input.issuer, previous?.issuer ?? unknownIssuer);
  const x509 = parseContent(input.x509 ?? {}, previous?.x509);
  if (x509.subject === '' && !hasNames(x509.sans))
    throw badPolicy('A subject or a subject alternative name is required.');
  return {
    key: parseCertificateKey(input.key ?? {}, previous?.key),
    contentType: parseContentType(input.contentType, previous?.contentType ?? usualContentType),
    x509,
    lifetimeActions: parseLifetimeActions(input.lifetimeActions, {
      validityMonths: x509.validityMonths,
      otherwise: previous?.lifetimeActions ?? [usualAction(isUnknownIssuer(issuer))],
    }),
    issuer,
    enabled: input.enabled ?? previous?.enabled ?? true,
  };
}

/** Whether the certificate signs itself. */
export function isSelfIssuer({ name }: Pick<PolicyIssuer, 'name'>): boolean {
  return name.toLowerCase() === 'self';
}

/** Whether whoever asked for the certificate brings it. */
export function isUnknownIssuer({ name }: Pick<PolicyIssuer, 'name'>): boolean {
  return name.toLowerCase() === 'unknown';
}

/** What a request for the certificate, or the certificate itself, says. */
export function contentOf({ x509 }: Pick<CertificatePolicy, 'x509'>): CertificateContent {
  const { subject, sans, keyUsage, ekus, ca, pathLength, nameConstraints } = x509;
  const { emails = [], dnsNames = [], upns = [], uris = [], ipAddresses = [] } = sans ?? {};
  const names = { emails, dnsNames, upns, uris, ipAddresses };
  return { subject, sans: names, keyUsage, ekus, ca, pathLength, nameConstraints };
}

/**
 * What a request says to who issues. Authorities certify the hosts that are named as alternative names and refuse, or
 * leave out, those that the subject alone names (CA/Browser Forum, baseline requirements §7.1.4.3): an issuer object's
 * requests name them in both places.
 */
export function requestedContentOf(policy: Pick<CertificatePolicy, 'x509' | 'issuer'>): CertificateContent {
  const content = contentOf(policy);
  if (isSelfIssuer(policy.issuer) || isUnknownIssuer(policy.issuer) || content.ca) return content;
  const { dnsNames } = content.sans;
  const known = new Set(dnsNames.map((name) => name.toLowerCase()));
  const hosts = textsOf(content.subject, commonNameOid)
    .filter((name) => name.includes('.') && isAlternativeName('dnsNames', name))
    .filter((name) => !known.has(name.toLowerCase()));
  return { ...content, sans: { ...content.sans, dnsNames: [...dnsNames, ...hosts] } };
}

/** Who issues, as `given` says; refuses what can be no issuer's name. */
export function parseIssuer(given: PolicyInput['issuer'], otherwise: PolicyIssuer): PolicyIssuer {
  const { name, certificateType, transparency } = given ?? {};
  const asked = isGiven(name) ? name : otherwise.name;
  if (!isObjectName(asked)) throw badPolicy('The name of an issuer is 1 to 127 letters, digits and hyphens.');
  if ((certificateType?.length ?? 0) > longestCertificateType)
    throw badPolicy(`cty has at most ${longestCertificateType} characters.`);
  return {
    name: asked,
    certificateType: isGiven(certificateType) ? certificateType : otherwise.certificateType,
    transparency: transparency ?? otherwise.transparency,
  };
}

export function parseContentType(given: Given<string>, otherwise: CertificateFormat): CertificateFormat {
  if (!isGiven(given)) return otherwise;
  if (given === 'application/x-pkcs12' || given === 'application/x-pem-file') return given;
  throw badPolicy('contentType is application/x-pkcs12 or application/x-pem-file.');
}

function parseContent(input: PolicyContentInput, was: PolicyContent | undefined): PolicyContent {
  const ca = input.ca ?? was?.ca ?? false;
  return {
    subject: parseSubject(input.subject, was?.subject ?? ''),
    sans: parseAlternativeNames(input.sans, was?.sans),
    ekus: parseEkus(input.ekus) ?? was?.ekus ?? (ca ? usualOfAuthority.ekus : usualEkus),
    keyUsage: parseKeyUsage(input.keyUsage) ?? was?.keyUsage ?? (ca ? usualOfAuthority.usage : usualUsage),
    validityMonths: parseMonths(input.validityMonths) ?? was?.validityMonths ?? usualMonths,
    ca,
    pathLength: parsePathLength(input.pathLength, { ca, otherwise: was?.pathLength }),
    nameConstraints: parseNameConstraints(input.nameConstraints, { ca, otherwise: was?.nameConstraints }),
  };
}

/** A text without any attribute in it is no subject. */
function parseSubject(given: Given<string>, otherwise: string): string {
  if (given === undefined || given === null) return otherwise;
  try {
    return parseDistinguishedName(given).length === 0 ? '' : given;
  } catch (error) {
    throw isFailure(error, 'badParameter') ? badPolicy(error.message) : error;
  }
}

function hasNames(sans: AlternativeNames | undefined): boolean {
  return Object.values(sans ?? {}).some((names: readonly string[]) => names.length > 0);
}

function parseEkus(given: Given<readonly string[]>): readonly string[] | undefined {
  if (given === undefined || given === null) return undefined;
  const ekus = [...new Set(given)];
  if (ekus.length > mostEkus) throw badPolicy(`At most ${mostEkus} enhanced key usages.`);
  if (!ekus.every(isObjectIdentifier))
    throw badPolicy('An enhanced key usage is a dotted object identifier.');
  return ekus;
}

/** The usages in Azure's order. */
export const keyUsages = [
  'cRLSign',
  'dataEncipherment',
  'decipherOnly',
  'digitalSignature',
  'encipherOnly',
  'keyAgreement',
  'keyCertSign',
  'keyEncipherment',
  'nonRepudiation',
] as const satisfies readonly KeyUsage[];

function parseKeyUsage(given: Given<readonly string[]>): readonly KeyUsage[] | undefined {
  if (given === undefined || given === null) return undefined;
  if (given.some((usage) => !keyUsages.some((known) => known === usage)))
    throw badPolicy(`A key usage is one of ${keyUsages.join(', ')}.`);
  return keyUsages.filter((usage) => given.includes(usage));
}

function parseMonths(given: Given<number>): number | undefined {
  if (given === undefined || given === null || given === 0) return undefined;
  if (!Number.isInteger(given) || given < 1 || given > longestValidity)
    throw badPolicy(`validity_months is from 1 to ${longestValidity}.`);
  return given;
}

/** RFC 5280 §4.2.1.9: only an authority says how many may follow it. */
function parsePathLength(
  given: Given<number>,
  { ca, otherwise }: { ca: boolean; otherwise: number | undefined },
): number | undefined {
  if (given === undefined || given === null) return ca ? otherwise : undefined;
  if (!ca) throw badPolicy('path_len_constraint is for authorities only.');
  if (!Number.isInteger(given) || given < 0 || given > deepestPath)
    throw badPolicy(`path_len_constraint is from 0 to ${deepestPath}.`);
  return given;
}

function isGiven(text: Given<string>): text is string {
  return text !== undefined && text !== null && text !== '';
}

/** A policy and its times, in Unix seconds, as it is stored. */
export interface StoredPolicy {
  readonly policy: CertificatePolicy;
  readonly created: number;
  readonly updated: number;
}

/** A policy as it was before it went through JSON, which leaves out what is undefined. */
export function fromJson(policy: CertificatePolicy): CertificatePolicy {
  const { key, x509, issuer } = policy;
  const { certificateType, transparency } = issuer;
  return {
    ...policy,
    key: { ...key, curve: key.curve },
    x509: {
      ...x509,
      sans: x509.sans,
      pathLength: x509.pathLength,
      nameConstraints: x509.nameConstraints,
    },
    issuer: { name: issuer.name, certificateType, transparency },
  };
}
