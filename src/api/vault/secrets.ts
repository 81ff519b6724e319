/** The twelve operations on secrets and deleted secrets, as rows. */
import * as v from 'valibot';
import { secretActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { CertificateFormat, Secret, SecretAttributes, Secrets } from '../../domain/secrets/secrets.ts';
import { type Reply, type VaultCall, type VaultRoute, vaultRoute } from '../route.ts';
import { has } from '../versions.ts';
import { type AnyCall, objectRoutes, plainLists } from './object-routes.ts';
import { createSecretReply } from './secret-text.ts';
import { attributesSchema, attributesWire, objectSchema, tagsSchema, wellFormed } from './wire.ts';

/** Azure's 25 KB, counted in bytes of UTF-8. */
const longestValue = 25 * 1024;
const longestContentType = 255;
const longestTag = 512;

const common = {
  contentType: v.nullish(
    v.pipe(
      v.string(),
      v.maxLength(longestContentType, `At most ${longestContentType} characters.`),
      wellFormed(),
    ),
  ),
  tags: tagsSchema(longestTag),
  attributes: attributesSchema,
};

const setSchema = objectSchema({
  ...common,
  value: v.pipe(
    v.string('A string is required.'),
    wellFormed(),
    v.maxBytes(longestValue, `The value is longer than ${longestValue} bytes.`),
  ),
});
const updateSchema = objectSchema(common);

export function secretRoutes(secrets: Secrets): readonly VaultRoute[] {
  const shared = {
    noun: 'Secret',
    kind: 'secrets',
    actions,
    operations: secrets,
    lists: plainLists(secrets),
    found,
    item: itemWire,
  } as const;
  return [...liveRoutes(secrets), ...objectRoutes(shared)];
}

function liveRoutes(secrets: Secrets): VaultRoute[] {
  const foundValue = createSecretReply(secretWire);
  return [
    vaultRoute({
      operation: 'SetSecret',
      audit: 'SecretSet',
      method: 'PUT',
      path: '/secrets/:name',
      action: actions.set,
      kind: 'secrets',
      schema: setSchema,
      handle: async (call) => {
        const value = SecretBytes.fromText(call.body.value);
        return found(call, await secrets.set(call.grant, { ...attributesOf(call.body), value }));
      },
    }),
    vaultRoute({
      operation: 'GetSecret',
      audit: 'SecretGet',
      method: 'GET',
      path: '/secrets/:name/:version?',
      action: actions.get,
      kind: 'secrets',
      handle: (call) => {
        const { grant, version } = call;
        const outContentType = outContentTypeOf(call);
        const known = outContentType === undefined ? secrets.known(grant, version) : undefined;
        if (known !== undefined) return foundValue(call, known);
        return secrets.get(grant, { version, outContentType }).then((secret) => foundValue(call, secret));
      },
    }),
    vaultRoute({
      operation: 'UpdateSecret',
      audit: 'SecretUpdate',
      method: 'PATCH',
      path: '/secrets/:name/:version?',
      action: actions.update,
      kind: 'secrets',
      schema: updateSchema,
      handle: async (call) =>
        found(call, await secrets.update(call.grant, { ...attributesOf(call.body), version: call.version })),
    }),
  ];
}

function attributesOf(body: v.InferOutput<typeof updateSchema>): SecretAttributes {
  return {
    enabled: body.attributes?.enabled ?? undefined,
    notBefore: body.attributes?.nbf ?? undefined,
    expires: body.attributes?.exp ?? undefined,
    contentType: body.contentType ?? undefined,
    tags: body.tags ?? undefined,
  };
}

function outContentTypeOf(call: VaultCall): CertificateFormat | undefined {
  const asked = call.query.get('outContentType');
  if (asked === null || !has(call.apiVersion, '2025-07-01')) return undefined;
  if (asked === 'application/x-pkcs12' || asked === 'application/x-pem-file') return asked;
  throw new Failure(
    'badParameter',
    'The parameter outContentType must be application/x-pkcs12 or application/x-pem-file.',
  );
}

function found(call: AnyCall, secret: Secret): Reply {
  const body = secretWire(call, secret);
  return { status: 200, body, id: body.id };
}

interface SecretWire {
  readonly id: string;
}

/**
 * The bundle: recovery facts first for a deleted secret, then value, contentType, id, managed, attributes, tags, and the
 * key's id for a certificate's secret; JSON leaves out what is undefined.
 */
function secretWire(call: AnyCall, secret: Secret): SecretWire & { readonly kid: string | undefined } {
  const { origin } = call;
  const { name, version } = secret;
  const kid = version.managed ? `${origin}/keys/${name}/${version.version}` : undefined;
  return { ...bundle(call, secret, `${origin}/secrets/${name}/${version.version}`), kid };
}

/** An item of a list: as the bundle, without value, its id without version in a list of secrets. */
function itemWire(call: AnyCall, secret: Secret, { withVersion }: { withVersion: boolean }): SecretWire {
  const id = `${call.origin}/secrets/${secret.name}`;
  return bundle(call, secret, withVersion ? `${id}/${secret.version.version}` : id);
}

function bundle(call: AnyCall, secret: Secret, id: string) {
  const { deleted, value, contentType, version } = secret;
  return {
    recoveryId: deleted && `${call.origin}/deletedsecrets/${secret.name}`,
    deletedDate: deleted?.deletedAt,
    scheduledPurgeDate: deleted?.purgeAt,
    value: value?.exposeText(),
    contentType,
    id,
    managed: version.managed ? true : undefined,
    attributes: attributesWire(version, { vault: call.grant.vault, apiVersion: call.apiVersion }),
    tags: version.tags,
  };
}
