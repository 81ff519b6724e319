/**
 * Keys as resources: made once and shown. What decides is the permission on the resource, `vaults/keys/write` and the
 * like; roles and policies on what is in the vault do not count here.
 */
import * as v from 'valibot';
import { keyActions as actions } from '../../authorization/actions.ts';
import { unixSeconds } from '../../core/clock.ts';
import { isFailure } from '../../core/errors.ts';
import { type KeyOperation, keyOperations, ktyOf } from '../../domain/keys/key-detail.ts';
import type { Key } from '../../domain/keys/key-objects.ts';
import { parseKeySpec } from '../../domain/keys/key-spec.ts';
import type { ShownPolicy } from '../../domain/keys/rotation.ts';
import {
  parseRotationPolicy,
  type RotationPolicyInput,
  vaultRotationLimits,
} from '../../domain/keys/rotation-policy.ts';
import { recoveryLevel, type Vault } from '../../domain/vaults/vault.ts';
import { rotationPolicySchema } from '../vault/key-wire.ts';
import { objectSchema, tagsSchema, timeSchema } from '../vault/wire.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { grantOn, objectId, objectListReply, vaultInUse } from './management-objects.ts';
import { type ManagementCall, type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import { vaultPath } from './vault-wire.ts';
import { wordSchema } from './wire.ts';

const provider = 'Microsoft.KeyVault';
const action = 'Microsoft.KeyVault/vaults/keys';
const keysPath = `${vaultPath}/keys`;
const keyPath = `${keysPath}/:keyName`;
/** The api-version from which on keys are resources. */
const since = '2019-09-01';
const longestTag = 256;

/** The document names releasing what the data plane calls exporting. */
const operationWords = [...keyOperations, 'release'] as const;

const keySchema = objectSchema({
  tags: tagsSchema(longestTag),
  properties: objectSchema({
    attributes: v.nullish(
      objectSchema({
        enabled: v.nullish(v.boolean()),
        nbf: timeSchema,
        exp: timeSchema,
        exportable: v.nullish(v.boolean()),
      }),
    ),
    kty: wordSchema(['RSA', 'RSA-HSM', 'EC', 'EC-HSM'], 'It must be RSA, RSA-HSM, EC or EC-HSM.'),
    keyOps: v.nullish(v.array(wordSchema(operationWords, 'It is not an operation of a key.'))),
    keySize: v.nullish(v.pipe(v.number(), v.safeInteger('It must be a whole number.'))),
    curveName: v.nullish(v.pipe(v.string(), v.maxLength(64))),
    rotationPolicy: v.nullish(rotationPolicySchema),
    release_policy: v.nullish(
      objectSchema({ contentType: v.nullish(v.string()), data: v.nullish(v.string()) }),
    ),
  }),
});
type KeyBody = v.InferOutput<typeof keySchema>;

export function managementKeyRoutes(deps: KeyVaultDeps): readonly ManagementRoute[] {
  return [createRoute(deps), ...readRoutes(deps), ...versionRoutes(deps)];
}

function createRoute(deps: KeyVaultDeps): ManagementRoute {
  return managementRoute({
    operation: 'Keys_CreateIfNotExist',
    audit: 'KeyCreate',
    method: 'PUT',
    path: keyPath,
    provider,
    since,
    action: `${action}/write`,
    schema: keySchema,
    async handle(call) {
      const { keys, rotation } = deps.keys;
      const vault = await vaultInUse(deps, call.params);
      const target = { kind: 'keys', name: call.params.keyName ?? '' } as const;
      const there = await existing(() => keys.get(grantOn(vault, target, actions.get), undefined));
      if (there !== undefined) return found(deps, call, { vault, key: there });
      const policy = policyOf(call.body);
      // A policy that cannot be is refused before there is a key.
      if (policy !== undefined) {
        const now = unixSeconds(deps.clock.now());
        parseRotationPolicy(policy, { limits: vaultRotationLimits, was: undefined, now });
      }
      const made = await keys.createIfAbsent(grantOn(vault, target, actions.create), choicesOf(call.body));
      // One that somebody else has made meanwhile has the policy that they gave it.
      if (policy !== undefined && made.isNew)
        await rotation.setPolicy(grantOn(vault, target, actions.setRotationPolicy), policy);
      return found(deps, call, { vault, key: made.key });
    },
  });
}

function policyOf({ properties: { rotationPolicy } }: KeyBody): RotationPolicyInput | undefined {
  if (rotationPolicy === undefined || rotationPolicy === null) return undefined;
  const { lifetimeActions, attributes } = rotationPolicy;
  return { lifetimeActions, expiryTime: attributes?.expiryTime };
}

/** Undefined for a key that is not there. */
async function existing(get: () => Promise<Key>): Promise<Key | undefined> {
  try {
    return await get();
  } catch (error) {
    if (isFailure(error, 'keyNotFound')) return undefined;
    throw error;
  }
}

function choicesOf({ properties, tags }: KeyBody) {
  const { kty, keySize, curveName, attributes, release_policy: policy } = properties;
  const [type = '', hsm] = kty.split('-');
  return {
    spec: parseKeySpec({
      type: type as 'RSA' | 'EC',
      size: keySize ?? undefined,
      exponent: undefined,
      curve: curveName ?? undefined,
      algorithm: undefined,
    }),
    hsm: hsm !== undefined,
    operations: properties.keyOps?.map((word): KeyOperation => (word === 'release' ? 'export' : word)),
    exportable: attributes?.exportable ?? undefined,
    enabled: attributes?.enabled ?? undefined,
    notBefore: attributes?.nbf ?? undefined,
    expires: attributes?.exp ?? undefined,
    tags: tags ?? undefined,
    releasePolicy:
      policy === undefined || policy === null
        ? undefined
        : {
            contentType: policy.contentType ?? undefined,
            data: policy.data ?? undefined,
            immutable: undefined,
          },
  };
}

function readRoutes(deps: KeyVaultDeps): ManagementRoute[] {
  const row = { method: 'GET', provider, since, action: `${action}/read` } as const;
  return [
    managementRoute({
      ...row,
      operation: 'Keys_Get',
      audit: 'KeyGet',
      path: keyPath,
      async handle(call) {
        const vault = await vaultInUse(deps, call.params);
        const target = { kind: 'keys', name: call.params.keyName ?? '' } as const;
        const key = await deps.keys.keys.get(grantOn(vault, target, actions.get), undefined);
        return found(deps, call, { vault, key });
      },
    }),
    managementRoute({
      ...row,
      operation: 'Keys_List',
      audit: 'KeyList',
      path: keysPath,
      async handle(call) {
        const vault = await vaultInUse(deps, call.params);
        const grant = grantOn(vault, { kind: 'keys', name: undefined }, actions.list);
        const wire = (key: Key) => itemWire(deps, call, { vault, key });
        return objectListReply(call, { list: (page) => deps.keys.keys.list(grant, page), wire });
      },
    }),
  ];
}

function versionRoutes(deps: KeyVaultDeps): ManagementRoute[] {
  const row = { method: 'GET', provider, since, action: `${action}/versions/read` } as const;
  return [
    managementRoute({
      ...row,
      operation: 'Keys_GetVersion',
      audit: 'KeyGet',
      path: `${keyPath}/versions/:keyVersion`,
      async handle(call) {
        const vault = await vaultInUse(deps, call.params);
        const target = { kind: 'keys', name: call.params.keyName ?? '' } as const;
        const key = await deps.keys.keys.get(grantOn(vault, target, actions.get), call.params.keyVersion);
        const body = keyWire(deps, call, { vault, key, isVersion: true });
        return { status: 200, body, id: body.id };
      },
    }),
    managementRoute({
      ...row,
      operation: 'Keys_ListVersions',
      audit: 'KeyListVersions',
      path: `${keyPath}/versions`,
      async handle(call) {
        const vault = await vaultInUse(deps, call.params);
        const target = { kind: 'keys', name: call.params.keyName ?? '' } as const;
        const grant = grantOn(vault, target, actions.list);
        const wire = (key: Key) => itemWire(deps, call, { vault, key, isVersion: true });
        return objectListReply(call, { list: (page) => deps.keys.keys.listVersions(grant, page), wire });
      },
    }),
  ];
}

interface ShownKey {
  readonly vault: Vault;
  readonly key: Key;
  /** Whether one version is shown, and not the key with its current one. */
  readonly isVersion?: true;
  readonly policy?: ShownPolicy;
}

type Called = Pick<ManagementCall, 'family'>;

async function found(deps: KeyVaultDeps, call: Called, { vault, key }: ShownKey): Promise<ManagementReply> {
  const target = { kind: 'keys', name: key.name } as const;
  const policy = await deps.keys.rotation.getPolicy(grantOn(vault, target, actions.getRotationPolicy));
  const body = keyWire(deps, call, { vault, key, policy });
  return { status: 200, body, id: body.id };
}

function headWire({ vault, key, isVersion }: ShownKey) {
  const { name, version } = key;
  const id = objectId(vault, 'keys', name);
  return {
    id: isVersion ? `${id}/versions/${version.version}` : id,
    name: isVersion ? version.version : name,
    type: `Microsoft.KeyVault/vaults/keys${isVersion ? '/versions' : ''}`,
    location: vault.location,
    tags: version.tags,
  };
}

function attributesWire({ vault, key: { version, detail } }: ShownKey): object {
  return {
    enabled: version.enabled,
    nbf: version.notBefore,
    exp: version.expires,
    created: version.created,
    updated: version.updated,
    recoveryLevel: recoveryLevel(vault),
    exportable: detail.exportable,
  };
}

function urisWire({ vaultUri }: KeyVaultDeps, { family }: Called, { vault, key }: ShownKey) {
  const keyUri = `${vaultUri(vault.name, family)}keys/${key.name}`;
  return { keyUri, keyUriWithVersion: `${keyUri}/${key.version.version}` };
}

/** Recorded: an item of a list has no more than its attributes and where it is. */
function itemWire(deps: KeyVaultDeps, call: Called, shown: ShownKey): object {
  const { keyUri, keyUriWithVersion } = urisWire(deps, call, shown);
  const uris = shown.isVersion ? { keyUri, keyUriWithVersion } : { keyUri };
  return { ...headWire(shown), properties: { attributes: attributesWire(shown), ...uris } };
}

function keyWire(deps: KeyVaultDeps, call: Called, shown: ShownKey) {
  const { detail } = shown.key;
  const { spec, releasePolicy } = detail;
  return {
    ...headWire(shown),
    properties: {
      attributes: attributesWire(shown),
      kty: ktyOf(detail),
      keyOps: detail.operations.map((operation) => (operation === 'export' ? 'release' : operation)),
      keySize: 'bits' in spec ? spec.bits : undefined,
      curveName: 'curve' in spec ? spec.curve : undefined,
      ...urisWire(deps, call, shown),
      rotationPolicy: shown.policy === undefined ? undefined : policyWire(shown.policy),
      release_policy: releasePolicy && { contentType: releasePolicy.contentType, data: releasePolicy.data },
    },
  };
}

/** Left out for a key whose policy was never set. */
function policyWire({ policy, actions: lifetimeActions }: ShownPolicy): object | undefined {
  if (policy === undefined) return undefined;
  const { expiry, created, updated } = policy;
  return { attributes: { created, updated, expiryTime: expiry?.text }, lifetimeActions };
}
