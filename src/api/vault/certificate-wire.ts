/** Certificates as JSON: shapes of what goes out, in the order of Azure's members (recorded). */
import type { AlternativeNames } from '../../domain/certificates/alternative-names.ts';
import type {
  PendingOperation,
  ShownCertificate,
  ShownPolicy,
} from '../../domain/certificates/certificate-types.ts';
import type { LifetimeAction } from '../../domain/certificates/lifetime.ts';
import { type ApiVersion, has } from '../versions.ts';
import type { AnyCall } from './object-routes.ts';
import { attributesWire } from './wire.ts';

/** The api-version that brought URIs and IP addresses as alternative names. */
export const moreNamesSince = '2025-07-01';
/** The api-version that brought `preserveCertOrder`. */
export const orderSince = '7.6';

export function certificateId({ origin }: Pick<AnyCall, 'origin'>, name: string): string {
  return `${origin}/certificates/${name}`;
}

export function pendingId(call: Pick<AnyCall, 'origin'>, name: string): string {
  return `${certificateId(call, name)}/pending`;
}

/** The bundle: recovery facts first for a deleted certificate; no key, secret and content while it is pending. */
export function certificateWire(call: AnyCall, certificate: ShownCertificate) {
  const { name, version, x5t, cer, policy, hasPending, preserveCertOrder } = certificate;
  const { origin, apiVersion, grant } = call;
  const linked = (kind: string) =>
    x5t === undefined ? undefined : `${origin}/${kind}/${name}/${version.version}`;
  return {
    ...recoveryWire(call, certificate),
    id: `${certificateId(call, name)}/${version.version}`,
    kid: linked('keys'),
    sid: linked('secrets'),
    x5t,
    cer,
    attributes: attributesWire(version, { vault: grant.vault, apiVersion }),
    policy: policy && policyWire(call, policy),
    pending: hasPending ? { id: pendingId(call, name) } : undefined,
    tags: version.tags,
    preserveCertOrder: has(apiVersion, orderSince) ? preserveCertOrder : undefined,
  };
}

/**
 * An item of a list; its `id` is without version in a list of certificates. Live ones are shown without recovery
 * level, deleted ones without subject, and what is pending has an empty one (recorded).
 */
export function certificateItemWire(
  call: AnyCall,
  certificate: ShownCertificate,
  { withVersion }: { withVersion: boolean },
) {
  const { name, version, x5t, subject, deleted } = certificate;
  const { recoveryLevel, recoverableDays, ...attributes } = attributesWire(version, {
    vault: call.grant.vault,
    apiVersion: call.apiVersion,
  });
  const id = certificateId(call, name);
  const shownSubject = x5t === undefined ? '' : subject;
  return {
    ...recoveryWire(call, certificate),
    id: withVersion ? `${id}/${version.version}` : id,
    x5t,
    attributes: deleted === undefined ? attributes : { ...attributes, recoveryLevel, recoverableDays },
    tags: version.tags,
    subject: deleted === undefined ? shownSubject : undefined,
  };
}

function recoveryWire({ origin }: AnyCall, { name, deleted }: ShownCertificate) {
  return {
    recoveryId: deleted && `${origin}/deletedcertificates/${name}`,
    deletedDate: deleted?.deletedAt,
    scheduledPurgeDate: deleted?.purgeAt,
  };
}

export function policyWire(
  call: Pick<AnyCall, 'origin' | 'apiVersion'>,
  { name, policy, created, updated }: ShownPolicy,
) {
  const { key, contentType, x509, lifetimeActions, issuer, enabled } = policy;
  const { ca, pathLength, nameConstraints } = x509;
  return {
    id: `${certificateId(call, name)}/policy`,
    key_props: {
      exportable: key.exportable,
      kty: key.kty,
      key_size: key.size,
      reuse_key: key.reuse,
      crv: key.curve,
    },
    secret_props: { contentType },
    x509_props: {
      subject: x509.subject === '' ? undefined : x509.subject,
      sans: x509.sans && sansWire(x509.sans, call.apiVersion),
      ekus: x509.ekus,
      key_usage: x509.keyUsage,
      validity_months: x509.validityMonths,
      basic_constraints: { ca, path_len_constraint: pathLength },
      name_constraints: nameConstraints && {
        permitted_dns_names: nameConstraints.dnsNames,
        permitted_ip_ranges: nameConstraints.ipRanges,
      },
    },
    lifetime_actions: lifetimeActions.map(actionWire),
    issuer: { name: issuer.name, cty: issuer.certificateType, cert_transparency: issuer.transparency },
    attributes: { enabled, created, updated },
  };
}

function sansWire(sans: AlternativeNames, apiVersion: ApiVersion) {
  const hasMore = has(apiVersion, moreNamesSince);
  return {
    emails: sans.emails,
    dns_names: sans.dnsNames,
    upns: sans.upns,
    uris: hasMore ? sans.uris : undefined,
    ipAddresses: hasMore ? sans.ipAddresses : undefined,
  };
}

function actionWire({ trigger, type }: LifetimeAction) {
  return {
    trigger: { lifetime_percentage: trigger.percentage, days_before_expiry: trigger.daysBeforeExpiry },
    action: { action_type: type },
  };
}

/** A pending operation; `target` once there is a certificate. */
export function pendingWire(call: Pick<AnyCall, 'origin' | 'apiVersion'>, pending: PendingOperation) {
  const { name, issuer, status } = pending;
  return {
    id: pendingId(call, name),
    issuer: { name: issuer.name, cty: issuer.certificateType },
    csr: pending.csr,
    cancellation_requested: pending.cancellationRequested,
    status,
    status_details: pending.statusDetails,
    preserveCertOrder: has(call.apiVersion, orderSince) ? pending.preserveCertOrder : undefined,
    error: pending.error,
    target: status === 'completed' ? certificateId(call, name) : undefined,
    request_id: pending.requestId,
  };
}
