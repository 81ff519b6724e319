/** Certificates as JSON: schemas of what comes in, and what they say in the domain's words. */
import * as v from 'valibot';
import { Failure } from '../../core/errors.ts';
import type { PolicyContentInput, PolicyInput } from '../../domain/certificates/certificate-policy.ts';
import type { CertificateChoices } from '../../domain/certificates/certificate-types.ts';
import { type ApiVersion, has } from '../versions.ts';
import { moreNamesSince, orderSince } from './certificate-wire.ts';
import { objectSchema, tagsSchema, wellFormed } from './wire.ts';

/** No number is published for certificates; this is that of keys. */
const longestTag = 256;
/** Entries of any list in a policy: far more than the domain takes, so that it is the one to say what is too much. */
const longestList = 1024;
const mostCertificates = 64;

const flag = v.nullish(v.boolean());
const wholeNumber = v.nullish(v.pipe(v.number(), v.safeInteger('It must be a whole number.')));
const text = v.nullish(v.pipe(v.string(), v.maxLength(4096), wellFormed()));
const texts = v.nullish(
  v.pipe(v.array(v.pipe(v.string(), v.maxLength(4096), wellFormed())), v.maxLength(longestList)),
);

/** What is read-only, and the dates, which X.509 decides, are ignored, as Azure does (recorded). */
const attributes = v.nullish(objectSchema({ enabled: flag }));

const keyProperties = v.nullish(
  objectSchema({ exportable: flag, kty: text, key_size: wholeNumber, reuse_key: flag, crv: text }),
);

const x509Properties = v.nullish(
  objectSchema({
    subject: text,
    sans: v.nullish(
      objectSchema({ emails: texts, dns_names: texts, upns: texts, uris: texts, ipAddresses: texts }),
    ),
    ekus: texts,
    key_usage: texts,
    validity_months: wholeNumber,
    basic_constraints: v.nullish(objectSchema({ ca: flag, path_len_constraint: wholeNumber })),
    // Not of Azure: an authority that is made here can be held to names.
    name_constraints: v.nullish(objectSchema({ permitted_dns_names: texts, permitted_ip_ranges: texts })),
  }),
);

const lifetimeActions = v.nullish(
  v.pipe(
    v.array(
      objectSchema({
        trigger: v.nullish(
          objectSchema({ lifetime_percentage: wholeNumber, days_before_expiry: wholeNumber }),
        ),
        action: v.nullish(objectSchema({ action_type: text })),
      }),
    ),
    v.maxLength(16),
  ),
);

export const policySchema = objectSchema({
  key_props: keyProperties,
  secret_props: v.nullish(objectSchema({ contentType: text })),
  x509_props: x509Properties,
  lifetime_actions: lifetimeActions,
  issuer: v.nullish(objectSchema({ name: text, cty: text, cert_transparency: flag })),
  attributes,
  platformManaged: v.optional(v.unknown()),
});

const chosen = { policy: v.nullish(policySchema), attributes, tags: tagsSchema(longestTag) };

export const createSchema = objectSchema({ ...chosen, preserveCertOrder: flag });

export const importSchema = objectSchema({
  ...chosen,
  preserveCertOrder: flag,
  value: v.pipe(
    v.string('A string is required.'),
    v.nonEmpty('A certificate with its private key is required.'),
  ),
  pwd: v.nullish(v.pipe(v.string(), v.maxLength(1024, 'At most 1024 characters.'), wellFormed())),
});

export const updateSchema = objectSchema(chosen);

export const mergeSchema = objectSchema({
  x5c: v.pipe(
    v.array(v.string('It must be text in base64.'), 'A list of certificates is required.'),
    v.minLength(1, 'A list of certificates is required.'),
    v.maxLength(mostCertificates, `At most ${mostCertificates} certificates.`),
  ),
  attributes,
  tags: tagsSchema(longestTag),
});

type PolicyBody = v.InferOutput<typeof policySchema>;

/** A policy in the domain's words. Members that are newer than the caller's api-version are ignored. */
export function policyInput(body: PolicyBody, apiVersion: ApiVersion): PolicyInput {
  const { key_props: key, secret_props: secret, lifetime_actions: actions, issuer } = body;
  if (body.platformManaged !== undefined && body.platformManaged !== null && has(apiVersion, '2026-04-01'))
    throw new Failure(
      'badParameter',
      'Property policy has invalid value\r\nplatformManaged is for the platform that Azure runs on, and not served.',
    );
  return {
    key: key && {
      kty: key.kty,
      size: key.key_size,
      curve: key.crv,
      exportable: key.exportable,
      reuse: key.reuse_key,
    },
    contentType: secret?.contentType,
    x509: body.x509_props && contentInput(body.x509_props, apiVersion),
    lifetimeActions: actions?.map(({ trigger, action }) => ({
      trigger: { percentage: trigger?.lifetime_percentage, daysBeforeExpiry: trigger?.days_before_expiry },
      type: action?.action_type,
    })),
    issuer: issuer && {
      name: issuer.name,
      certificateType: issuer.cty,
      transparency: issuer.cert_transparency,
    },
    enabled: body.attributes?.enabled,
  };
}

function contentInput(
  x509: NonNullable<PolicyBody['x509_props']>,
  apiVersion: ApiVersion,
): PolicyContentInput {
  const { sans, name_constraints: constraints } = x509;
  const more = has(apiVersion, moreNamesSince);
  return {
    subject: x509.subject,
    sans: sans && {
      emails: sans.emails,
      dnsNames: sans.dns_names,
      upns: sans.upns,
      uris: more ? sans.uris : undefined,
      ipAddresses: more ? sans.ipAddresses : undefined,
    },
    ekus: x509.ekus,
    keyUsage: x509.key_usage,
    validityMonths: x509.validity_months,
    ca: x509.basic_constraints?.ca,
    pathLength: x509.basic_constraints?.path_len_constraint,
    nameConstraints: constraints && {
      dnsNames: constraints.permitted_dns_names,
      ipRanges: constraints.permitted_ip_ranges,
    },
  };
}

type Chosen = Partial<Pick<v.InferOutput<typeof createSchema>, 'policy' | 'preserveCertOrder'>> &
  Pick<v.InferOutput<typeof createSchema>, 'attributes' | 'tags'>;

export function choicesOf(body: Chosen, apiVersion: ApiVersion): CertificateChoices {
  return {
    enabled: body.attributes?.enabled ?? undefined,
    tags: body.tags ?? undefined,
    policy: body.policy ? policyInput(body.policy, apiVersion) : undefined,
    preserveCertOrder: has(apiVersion, orderSince) ? (body.preserveCertOrder ?? undefined) : undefined,
  };
}
