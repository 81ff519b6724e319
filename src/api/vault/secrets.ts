/** The twelve operations on secrets and deleted secrets, as rows. */
import * as v from 'valibot';
import { secretActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { CertificateFormat, Secret, SecretAttributes, Secrets } from '../../domain/secrets/secrets.ts';
import { longestBackup } from '../../domain/versioned/object-backup.ts';
import { type Reply, type VaultCall, type VaultRoute, vaultRoute } from '../route.ts';
import { has } from '../versions.ts';
import { createSecretReply } from './secret-text.ts';
import {
  attributesSchema,
  attributesWire,
  objectSchema,
  pageRequest,
  pageWire,
  tagsSchema,
  wellFormed,
} from './wire.ts';

/** Azure's 25 KB, counted in bytes of UTF-8. */
const longestValue = 25 * 1024;
const longestContentType = 255;
const longestTag = 512;
/** The longest blob and its JSON around it. */
const largestRestore = longestBackup + 1024 * 1024;

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
const restoreSchema = objectSchema({ value: v.string('A string is required.') });

export function secretRoutes(secrets: Secrets): readonly VaultRoute[] {
  return [...liveRoutes(secrets), ...listRoutes(secrets), ...deletedRoutes(secrets)];
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
    vaultRoute({
      operation: 'DeleteSecret',
      audit: 'SecretDelete',
      method: 'DELETE',
      path: '/secrets/:name',
      action: actions.delete,
      kind: 'secrets',
      handle: async (call) => found(call, await secrets.delete(call.grant)),
    }),
    vaultRoute({
      operation: 'BackupSecret',
      audit: 'SecretBackup',
      method: 'POST',
      path: '/secrets/:name/backup',
      action: actions.backup,
      kind: 'secrets',
      handle: async (call) => ({ status: 200, body: { value: await secrets.backup(call.grant) } }),
    }),
    vaultRoute({
      operation: 'RestoreSecret',
      audit: 'SecretRestore',
      method: 'POST',
      path: '/secrets/restore',
      action: actions.restore,
      kind: 'secrets',
      schema: restoreSchema,
      maxBody: largestRestore,
      handle: async (call) => {
        const identify = (name: string, version: string) => `${call.origin}/secrets/${name}/${version}`;
        return found(call, await secrets.restore(call.grant, { blob: call.body.value, identify }));
      },
    }),
  ];
}

function listRoutes(secrets: Secrets): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'GetSecrets',
      audit: 'SecretList',
      method: 'GET',
      path: '/secrets',
      action: actions.list,
      kind: 'secrets',
      handle: async (call) => {
        const page = await secrets.list(call.grant, pageRequest(call.query, 'secrets'));
        const item = (secret: Secret) => itemWire(call, secret);
        return { status: 200, body: pageWire(call, { page, list: 'secrets', path: '/secrets', item }) };
      },
    }),
    vaultRoute({
      operation: 'GetSecretVersions',
      audit: 'SecretListVersions',
      method: 'GET',
      path: '/secrets/:name/versions',
      action: actions.list,
      kind: 'secrets',
      handle: async (call) => {
        const name = call.grant.target.name ?? '';
        const list = `secrets/${name.toUpperCase()}/versions`;
        const page = await secrets.listVersions(call.grant, pageRequest(call.query, list));
        const item = (secret: Secret) => secretWire(call, secret);
        return { status: 200, body: pageWire(call, { page, list, path: `/secrets/${name}/versions`, item }) };
      },
    }),
  ];
}

function deletedRoutes(secrets: Secrets): VaultRoute[] {
  return [
    vaultRoute({
      operation: 'GetDeletedSecrets',
      audit: 'SecretListDeleted',
      method: 'GET',
      path: '/deletedsecrets',
      action: actions.list,
      kind: 'secrets',
      handle: async (call) => {
        const page = await secrets.listDeleted(call.grant, pageRequest(call.query, 'deletedsecrets'));
        const item = (secret: Secret) => itemWire(call, secret);
        return {
          status: 200,
          body: pageWire(call, { page, list: 'deletedsecrets', path: '/deletedsecrets', item }),
        };
      },
    }),
    vaultRoute({
      operation: 'GetDeletedSecret',
      audit: 'SecretGetDeleted',
      method: 'GET',
      path: '/deletedsecrets/:name',
      action: actions.getDeleted,
      kind: 'secrets',
      handle: async (call) => found(call, await secrets.getDeleted(call.grant)),
    }),
    vaultRoute({
      operation: 'PurgeDeletedSecret',
      audit: 'SecretPurge',
      method: 'DELETE',
      path: '/deletedsecrets/:name',
      action: actions.purge,
      kind: 'secrets',
      handle: async (call) => {
        await secrets.purge(call.grant);
        return { status: 204, body: undefined };
      },
    }),
    vaultRoute({
      operation: 'RecoverDeletedSecret',
      audit: 'SecretRecover',
      method: 'POST',
      path: '/deletedsecrets/:name/recover',
      action: actions.recover,
      kind: 'secrets',
      handle: async (call) => found(call, await secrets.recover(call.grant)),
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

type AnyCall = Pick<VaultCall, 'origin' | 'grant' | 'apiVersion'>;

function found(call: AnyCall, secret: Secret): Reply {
  const body = secretWire(call, secret);
  return { status: 200, body, id: body.id };
}

interface SecretWire {
  readonly id: string;
}

/** The bundle: recovery facts first for a deleted secret, then value, contentType, id, managed, attributes, tags; JSON leaves out what is undefined. */
function secretWire(call: AnyCall, secret: Secret): SecretWire {
  return bundle(call, secret, `${call.origin}/secrets/${secret.name}/${secret.version.version}`);
}

/** An item of a list: as the bundle, without value, its id without version. */
function itemWire(call: AnyCall, secret: Secret): SecretWire {
  return bundle(call, secret, `${call.origin}/secrets/${secret.name}`);
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
