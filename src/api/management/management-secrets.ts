/**
 * Secrets as resources: set and shown, never with their values. What decides is the permission on the resource,
 * `vaults/secrets/write` and the like; roles and policies on what is in the vault do not count here.
 */
import * as v from 'valibot';
import { secretActions as actions } from '../../authorization/actions.ts';
import { Failure } from '../../core/errors.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { Secret, SecretAttributes } from '../../domain/secrets/secrets.ts';
import type { Vault } from '../../domain/vaults/vault.ts';
import { attributesSchema, objectSchema, tagsSchema, wellFormed } from '../vault/wire.ts';
import type { KeyVaultDeps } from './key-vault.ts';
import { grantOn, objectId, objectListReply, vaultInUse } from './management-objects.ts';
import { type ManagementCall, type ManagementReply, type ManagementRoute, managementRoute } from './route.ts';
import { vaultPath } from './vault-wire.ts';

const provider = 'Microsoft.KeyVault';
const action = 'Microsoft.KeyVault/vaults/secrets';
const secretsPath = `${vaultPath}/secrets`;
const secretPath = `${secretsPath}/:secretName`;

/** As on the data plane (LIMITS.md §2). */
const longestValue = 25 * 1024;
const longestContentType = 255;
const longestTag = 512;

const properties = {
  contentType: v.nullish(v.pipe(v.string(), v.maxLength(longestContentType), wellFormed())),
  attributes: attributesSchema,
  value: v.nullish(
    v.pipe(
      v.string('It must be text.'),
      wellFormed(),
      v.maxBytes(longestValue, `It is longer than ${longestValue} bytes.`),
    ),
  ),
};
const tags = tagsSchema(longestTag);
const putSchema = objectSchema({ tags, properties: objectSchema(properties) });
const patchSchema = objectSchema({ tags, properties: v.nullish(objectSchema(properties)) });

export function managementSecretRoutes(deps: KeyVaultDeps): readonly ManagementRoute[] {
  return [...writeRoutes(deps), ...readRoutes(deps)];
}

function writeRoutes(deps: KeyVaultDeps): ManagementRoute[] {
  const { secrets } = deps;
  const row = { path: secretPath, provider, action: `${action}/write` } as const;
  return [
    managementRoute({
      ...row,
      operation: 'Secrets_CreateOrUpdate',
      audit: 'SecretSet',
      method: 'PUT',
      schema: putSchema,
      async handle(call) {
        const { vault, target } = await targetOf(deps, call);
        const { value } = call.body.properties;
        if (value === undefined || value === null)
          throw new Failure('badParameter', "An invalid value was provided for 'value'.");
        const input = { ...attributesOf(call.body), value: SecretBytes.fromText(value) };
        return found(deps, call, {
          vault,
          secret: await secrets.set(grantOn(vault, target, actions.set), input),
        });
      },
    }),
    managementRoute({
      ...row,
      operation: 'Secrets_Update',
      audit: 'SecretUpdate',
      method: 'PATCH',
      schema: patchSchema,
      async handle(call) {
        const { vault, target } = await targetOf(deps, call);
        const given = attributesOf(call.body);
        const value = call.body.properties?.value ?? undefined;
        // Only of a secret that is there; another value is another version.
        const was = await secrets.describe(grantOn(vault, target, actions.list));
        const secret =
          value === undefined
            ? await secrets.update(grantOn(vault, target, actions.update), { ...given, version: undefined })
            : await secrets.set(grantOn(vault, target, actions.set), {
                ...given,
                contentType: given.contentType ?? was.contentType,
                tags: given.tags ?? was.version.tags,
                value: SecretBytes.fromText(value),
              });
        return found(deps, call, { vault, secret });
      },
    }),
  ];
}

function readRoutes(deps: KeyVaultDeps): ManagementRoute[] {
  const { secrets } = deps;
  const row = { method: 'GET', provider, action: `${action}/read` } as const;
  return [
    managementRoute({
      ...row,
      operation: 'Secrets_Get',
      audit: 'SecretGet',
      path: secretPath,
      async handle(call) {
        const { vault, target } = await targetOf(deps, call);
        const secret = await secrets.describe(grantOn(vault, target, actions.list));
        return found(deps, call, { vault, secret });
      },
    }),
    managementRoute({
      ...row,
      operation: 'Secrets_List',
      audit: 'SecretList',
      path: secretsPath,
      async handle(call) {
        const vault = await vaultInUse(deps, call.params);
        const grant = grantOn(vault, { kind: 'secrets', name: undefined }, actions.list);
        const wire = (secret: Secret) => secretWire(deps, call, { vault, secret });
        return objectListReply(call, { list: (page) => secrets.list(grant, page), wire });
      },
    }),
  ];
}

async function targetOf(deps: KeyVaultDeps, { params }: Pick<ManagementCall, 'params'>) {
  const vault = await vaultInUse(deps, params);
  return { vault, target: { kind: 'secrets', name: params.secretName ?? '' } as const };
}

function attributesOf({ tags: given, properties: of }: v.InferOutput<typeof patchSchema>): SecretAttributes {
  return {
    enabled: of?.attributes?.enabled ?? undefined,
    notBefore: of?.attributes?.nbf ?? undefined,
    expires: of?.attributes?.exp ?? undefined,
    contentType: of?.contentType ?? undefined,
    tags: given ?? undefined,
  };
}

interface ShownSecret {
  readonly vault: Vault;
  readonly secret: Secret;
}

function found(
  deps: KeyVaultDeps,
  call: Pick<ManagementCall, 'family'>,
  shown: ShownSecret,
): ManagementReply {
  const body = secretWire(deps, call, shown);
  return { status: 200, body, id: body.id };
}

function secretWire(
  { vaultUri }: KeyVaultDeps,
  { family }: Pick<ManagementCall, 'family'>,
  { vault, secret }: ShownSecret,
) {
  const { name, version, contentType } = secret;
  const secretUri = `${vaultUri(vault.name, family)}secrets/${name}`;
  return {
    id: objectId(vault, 'secrets', name),
    name,
    type: 'Microsoft.KeyVault/vaults/secrets',
    location: vault.location,
    tags: version.tags,
    properties: {
      contentType,
      attributes: {
        enabled: version.enabled,
        nbf: version.notBefore,
        exp: version.expires,
        created: version.created,
        updated: version.updated,
      },
      secretUri,
      secretUriWithVersion: `${secretUri}/${version.version}`,
    },
  };
}
