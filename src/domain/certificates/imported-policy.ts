/**
 * The policy of a certificate that was imported: what it is to be is read from the certificate itself (recorded), what
 * is to be done with it is its caller's choice.
 */
import type { KeySpec } from '../../crypto/provider.ts';
import type { CertificateContent, SubjectAlternativeNames } from '../../crypto/x509/certificate-content.ts';
import type { CertificateFormat } from '../secrets/secrets.ts';
import type { AlternativeNames } from './alternative-names.ts';
import { type CertificateKey, curveSize, parseExportable, parseKeyType } from './certificate-key.ts';
import {
  type CertificatePolicy,
  isUnknownIssuer,
  keyUsages,
  longestValidity,
  type PolicyContent,
  type PolicyInput,
  parseContentType,
  parseIssuer,
  unknownIssuer,
} from './certificate-policy.ts';
import { fitsValidity, parseLifetimeActions, usualAction } from './lifetime.ts';
import { badPolicy } from './policy-input.ts';

/** What was imported. Times are Unix seconds. */
export interface ImportedCertificate {
  readonly content: CertificateContent;
  readonly spec: KeySpec;
  readonly notBefore: number;
  readonly expires: number;
  readonly format: CertificateFormat;
}

/**
 * Of what a caller says, X.509 properties, key type, size and curve are not believed: the certificate has its own.
 * Whether the key is to be in an HSM, may leave, and is used again, is taken, as are issuer and lifetime actions; of
 * those, `previous` is kept where nothing is said. Throws `badParameter`.
 */
export function importedPolicy(
  input: PolicyInput,
  of: { certificate: ImportedCertificate; previous: CertificatePolicy | undefined },
): CertificatePolicy {
  const { certificate, previous } = of;
  const x509 = importedContent(certificate);
  const issuer = parseIssuer(input.issuer, previous?.issuer ?? unknownIssuer);
  const { validityMonths } = x509;
  const usual = [usualAction(isUnknownIssuer(issuer))];
  const kept = previous?.lifetimeActions ?? usual;
  const otherwise = fitsValidity(kept, validityMonths) ? kept : usual;
  return {
    key: importedKey(input.key ?? {}, { spec: certificate.spec, was: previous?.key }),
    contentType: parseContentType(input.contentType, certificate.format),
    x509,
    lifetimeActions: parseLifetimeActions(input.lifetimeActions, { validityMonths, otherwise }),
    issuer,
    enabled: input.enabled ?? previous?.enabled ?? true,
  };
}

function importedKey(
  input: NonNullable<PolicyInput['key']>,
  { spec, was }: { spec: KeySpec; was: CertificateKey | undefined },
): CertificateKey {
  if (spec.type !== 'RSA' && spec.type !== 'EC') throw badPolicy('A certificate has an RSA or an EC key.');
  const hsm = parseKeyType(input.kty)?.endsWith('-HSM') === true;
  const kty = hsm ? (`${spec.type}-HSM` as const) : spec.type;
  return {
    kty,
    size: spec.type === 'RSA' ? spec.bits : curveSize(spec.curve),
    curve: spec.type === 'RSA' ? undefined : spec.curve,
    exportable: parseExportable(input.exportable, { kty, was: undefined }),
    reuse: input.reuse ?? was?.reuse ?? false,
  };
}

function importedContent({ content, notBefore, expires }: ImportedCertificate): PolicyContent {
  const { subject, sans, ekus, keyUsage, ca, pathLength, nameConstraints } = content;
  return {
    subject,
    sans: importedNames(sans),
    ekus,
    keyUsage: keyUsages.filter((usage) => keyUsage.includes(usage)),
    validityMonths: monthsBetween(notBefore, expires),
    ca,
    pathLength,
    nameConstraints,
  };
}

/** The kinds that came first are shown even if they are empty (recorded), the others only if they are not. */
function importedNames(sans: SubjectAlternativeNames): AlternativeNames | undefined {
  const { emails, dnsNames, upns, uris, ipAddresses } = sans;
  if (![emails, dnsNames, upns, uris, ipAddresses].some(({ length }) => length > 0)) return undefined;
  return {
    emails,
    dnsNames,
    upns,
    ...(uris.length > 0 ? { uris } : {}),
    ...(ipAddresses.length > 0 ? { ipAddresses } : {}),
  };
}

/** Months of the calendar, a part of one counting as one (recorded); within what a policy may say. */
export function monthsBetween(notBefore: number, expires: number): number {
  const from = new Date(notBefore * 1000);
  const to = new Date(expires * 1000);
  const months = (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
  const isBegun = intoMonth(to) > intoMonth(from);
  return Math.min(Math.max(months + (isBegun ? 1 : 0), 1), longestValidity);
}

/** Milliseconds since the month began. */
function intoMonth(date: Date): number {
  return date.getTime() - Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}
