/**
 * What the operator's commands can do, as rows. The same rows run in the serving process, over the control socket,
 * and in a command's own process when the server is stopped.
 */
import * as v from 'valibot';
import { keyPermissions, secretPermissions } from '../../authorization/access-policies.ts';
import { vaultScope } from '../../authorization/authorize.ts';
import { openNetwork } from '../../authorization/network-rules.ts';
import type { RoleAssignment, RoleAssignmentStore } from '../../authorization/role-assignments.ts';
import { findRole } from '../../authorization/roles.ts';
import type { Clock } from '../../core/clock.ts';
import { Failure } from '../../core/errors.ts';
import { isGuid } from '../../core/names.ts';
import type { Page } from '../../core/paging.ts';
import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { defaultLocation, defaultResourceGroup } from '../../domain/vaults/first-start.ts';
import type { Vault } from '../../domain/vaults/vault.ts';
import type { Subscription, Tenant } from '../../domain/vaults/vault-store.ts';
import type { Vaults } from '../../domain/vaults/vaults.ts';
import {
  createApplication,
  createExternalPrincipal,
  createManagedIdentity,
  type PrincipalRecord,
  type PrincipalStore,
} from '../../identity/principals.ts';

export interface ControlDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly tenant: Tenant;
  readonly subscription: Subscription;
  readonly vaults: Vaults;
  readonly vaultUri: (name: string) => string;
  readonly principals: PrincipalStore;
  readonly assignments: RoleAssignmentStore;
  readonly addSecret: (input: { objectId: string; expires: number }) => Promise<{
    credential: { keyId: string; hint: string; expires: number };
    secret: SecretBytes;
  }>;
  readonly removeSecret: (input: { objectId: string; keyId: string }) => Promise<void>;
  readonly rotateVaultKey: (vaultId: string) => Promise<{ version: number; moved: number }>;
  readonly rotateRootKey: () => Promise<{ keyId: string; moved: number }>;
  readonly protectRootKey: (passphrase: string | undefined) => Promise<{ protector: string }>;
  readonly rotateSigningKey: (revoke: boolean) => Promise<void>;
  readonly verifyAudit: () => Promise<object>;
  readonly status: () => Promise<object>;
  readonly clientEnvironment: () => Promise<object>;
}

/** One operation: its input's shape and what it does. Answers are plain JSON. */
export interface ControlOperation {
  /** The audit record's operationName; undefined for one that changes and reveals nothing. */
  readonly audit: string | undefined;
  readonly input: v.GenericSchema;
  readonly run: (deps: ControlDeps, input: never) => Promise<object>;
}

function operation<S extends v.GenericSchema>(row: {
  audit?: string;
  input: S;
  run: (deps: ControlDeps, input: v.InferOutput<S>) => Promise<object>;
}): ControlOperation {
  return { audit: row.audit, input: row.input, run: row.run };
}

const nothing = v.strictObject({});
const named = v.strictObject({ name: v.string() });
const day = 24 * 60 * 60 * 1000;

export const controlOperations: Readonly<Record<string, ControlOperation>> = {
  status: operation({ input: nothing, run: (deps) => deps.status() }),
  'client-environment': operation({
    audit: 'ClientEnvironmentGet',
    input: nothing,
    run: (deps) => deps.clientEnvironment(),
  }),
  'vault create': operation({
    audit: 'VaultPut',
    input: v.strictObject({
      name: v.string(),
      resourceGroup: v.optional(v.string()),
      location: v.optional(v.string()),
      sku: v.optional(v.picklist(['standard', 'premium'])),
      accessPolicies: v.optional(v.boolean()),
      retentionDays: v.optional(v.number()),
      purgeProtection: v.optional(v.boolean()),
      publicNetworkAccess: v.optional(v.picklist(['Enabled', 'Disabled'])),
      defaultAction: v.optional(v.picklist(['Allow', 'Deny'])),
      ipRules: v.optional(v.array(v.string())),
    }),
    run: async (deps, input) => {
      const vault = await deps.vaults.create({
        name: input.name,
        tenantId: deps.tenant.id,
        subscriptionId: deps.subscription.id,
        resourceGroup: input.resourceGroup ?? defaultResourceGroup,
        location: input.location ?? defaultLocation,
        sku: input.sku,
        enableRbacAuthorization: input.accessPolicies !== true,
        softDeleteRetentionInDays: input.retentionDays,
        enablePurgeProtection: input.purgeProtection,
        publicNetworkAccess: input.publicNetworkAccess,
        networkRules: {
          ...openNetwork,
          defaultAction: input.defaultAction ?? openNetwork.defaultAction,
          ipRules: input.ipRules ?? openNetwork.ipRules,
        },
      });
      return vaultView(deps, vault);
    },
  }),
  'vault list': operation({
    input: nothing,
    run: async (deps) => ({ vaults: (await deps.vaults.list()).map((vault) => vaultView(deps, vault)) }),
  }),
  'vault show': operation({
    input: named,
    run: async (deps, { name }) => vaultView(deps, await knownVault(deps, name)),
  }),
  'vault set-policy': operation({
    audit: 'VaultPatch',
    input: v.strictObject({
      name: v.string(),
      identity: v.string(),
      secrets: v.optional(v.array(v.picklist(secretPermissions)), []),
      keys: v.optional(v.array(v.picklist(keyPermissions)), []),
    }),
    run: async (deps, { name, identity, secrets, keys }) => {
      const { tenantId, objectId } = await knownPrincipal(deps, identity);
      return vaultView(
        deps,
        await deps.vaults.setAccessPolicy(name, { tenantId, objectId, permissions: { secrets, keys } }),
      );
    },
  }),
  'vault rotate-key': operation({
    audit: 'VaultKeyRotate',
    input: named,
    run: async (deps, { name }) => deps.rotateVaultKey((await knownVault(deps, name)).id),
  }),
  'identity create': operation({
    audit: 'PrincipalCreate',
    input: v.strictObject({
      name: v.string(),
      managed: v.optional(v.boolean()),
      resourceId: v.optional(v.string()),
      issuer: v.optional(v.string()),
      subject: v.optional(v.string()),
    }),
    run: async (deps, input) => createIdentity(deps, input),
  }),
  'identity list': operation({
    input: nothing,
    run: async (deps) => ({ identities: (await allPrincipals(deps)).map(principalView) }),
  }),
  'identity secret': operation({
    audit: 'ClientSecretCreate',
    input: v.strictObject({
      identity: v.string(),
      days: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(731))),
    }),
    run: async (deps, input) => {
      const principal = await knownPrincipal(deps, input.identity);
      const expires = deps.clock.now() + (input.days ?? 365) * day;
      const { credential, secret } = await deps.addSecret({ objectId: principal.objectId, expires });
      return { ...principalView(principal), ...credentialView(credential), secret: secret.exposeText() };
    },
  }),
  'identity secrets': operation({
    input: v.strictObject({ identity: v.string() }),
    run: async (deps, input) => {
      const principal = await knownPrincipal(deps, input.identity);
      return { secrets: (await deps.principals.credentialsOf(principal.objectId)).map(credentialView) };
    },
  }),
  'identity remove-secret': operation({
    audit: 'ClientSecretDelete',
    input: v.strictObject({ identity: v.string(), keyId: v.string() }),
    run: async (deps, input) => {
      const { objectId } = await knownPrincipal(deps, input.identity);
      await deps.removeSecret({ objectId, keyId: input.keyId });
      return { removed: input.keyId };
    },
  }),
  'identity grant': operation({
    audit: 'RoleAssignmentWrite',
    input: v.strictObject({
      identity: v.string(),
      role: v.string(),
      vault: v.optional(v.string()),
      scope: v.optional(v.string()),
    }),
    run: (deps, input) => grantRole(deps, input),
  }),
  'identity grants': operation({
    input: v.strictObject({ identity: v.optional(v.string()) }),
    run: async (deps, { identity }) => {
      const rows =
        identity === undefined
          ? await deps.assignments.list()
          : await deps.assignments.ofPrincipal((await knownPrincipal(deps, identity)).objectId);
      return { grants: rows.map(assignmentView) };
    },
  }),
  'identity revoke': operation({
    audit: 'RoleAssignmentDelete',
    input: v.strictObject({ id: v.string() }),
    run: async (deps, { id }) => {
      if (!(await deps.assignments.remove(id)))
        throw new Failure('notFound', `There is no role assignment '${id}'.`);
      return { removed: id };
    },
  }),
  'identity rotate-key': operation({
    audit: 'TokenSigningKeyRotate',
    input: v.strictObject({ revoke: v.optional(v.boolean()) }),
    run: async (deps, { revoke }) => {
      await deps.rotateSigningKey(revoke === true);
      return { rotated: true, revoked: revoke === true };
    },
  }),
  'root-key rotate': operation({
    audit: 'RootKeyRotate',
    input: nothing,
    run: (deps) => deps.rotateRootKey(),
  }),
  'root-key protect': operation({
    audit: 'RootKeyProtect',
    input: v.strictObject({ passphrase: v.optional(v.string()) }),
    run: (deps, { passphrase }) => deps.protectRootKey(passphrase),
  }),
  'audit verify': operation({ input: nothing, run: (deps) => deps.verifyAudit() }),
};

function vaultView(deps: ControlDeps, vault: Vault) {
  const {
    name,
    tenantId,
    location,
    sku,
    enableRbacAuthorization,
    softDeleteRetentionInDays,
    enablePurgeProtection,
    publicNetworkAccess,
    networkRules,
    accessPolicies,
  } = vault;
  return {
    name,
    vaultUri: deps.vaultUri(name),
    id: vaultScope(vault),
    tenantId,
    location,
    sku,
    enableRbacAuthorization,
    softDeleteRetentionInDays,
    enablePurgeProtection,
    publicNetworkAccess,
    networkRules,
    accessPolicies,
    created: new Date(vault.created).toISOString(),
  };
}

async function knownVault(deps: ControlDeps, name: string): Promise<Vault> {
  const vault = await deps.vaults.find(name);
  if (vault === undefined) throw new Failure('vaultNotFound', `The vault '${name}' does not exist.`);
  return vault;
}

async function createIdentity(
  deps: ControlDeps,
  input: {
    name: string;
    managed?: boolean | undefined;
    resourceId?: string | undefined;
    issuer?: string | undefined;
    subject?: string | undefined;
  },
): Promise<object> {
  if ((await principalsNamed(deps, input.name)).length > 0) {
    throw new Failure('alreadyExists', `There is an identity '${input.name}' already.`);
  }
  const store = { store: deps.principals, clock: deps.clock, random: deps.random };
  const of = { tenantId: deps.tenant.id, displayName: input.name };
  const { issuer, subject } = input;
  if (issuer !== undefined && subject !== undefined) {
    return principalView(await createExternalPrincipal(store, { ...of, issuer, subject }));
  }
  if (issuer !== undefined || subject !== undefined) {
    throw new Failure('badParameter', 'An identity of an external issuer has both an issuer and a subject.');
  }
  if (input.managed !== true) return principalView(await createApplication(store, of));
  const { resourceId } = input;
  return principalView(
    await createManagedIdentity(store, { ...of, ...(resourceId === undefined ? {} : { resourceId }) }),
  );
}

async function grantRole(
  deps: ControlDeps,
  input: { identity: string; role: string; vault?: string | undefined; scope?: string | undefined },
): Promise<object> {
  const principal = await knownPrincipal(deps, input.identity);
  const role = findRole(input.role);
  if (role === undefined) throw new Failure('notFound', `There is no role '${input.role}'.`);
  const scope = input.vault === undefined ? input.scope : vaultScope(await knownVault(deps, input.vault));
  if (scope === undefined || (scope !== '/' && !/^\/subscriptions\/[^/]+(?:\/[^/]+)*$/i.test(scope))) {
    throw new Failure(
      'badParameter',
      'A scope is a vault (--vault NAME), or an id that begins with /subscriptions/.',
    );
  }
  const assignment = await deps.assignments.add({
    id: deps.random.guid(),
    tenantId: principal.tenantId,
    principalId: principal.objectId,
    roleId: role.id,
    scope,
    created: deps.clock.now(),
  });
  return assignmentView(assignment);
}

function assignmentView(assignment: RoleAssignment) {
  const { id, principalId, roleId, scope } = assignment;
  return { id, principalId, role: findRole(roleId)?.name ?? roleId, scope };
}

async function allPrincipals(deps: ControlDeps): Promise<PrincipalRecord[]> {
  const all: PrincipalRecord[] = [];
  let after: string | undefined;
  do {
    const page: Page<PrincipalRecord> = await deps.principals.list(
      { tenantId: deps.tenant.id },
      { limit: 500, after },
    );
    all.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return all;
}

async function principalsNamed(deps: ControlDeps, name: string): Promise<PrincipalRecord[]> {
  return (await allPrincipals(deps)).filter((principal) => principal.displayName === name);
}

/** By display name, client id or object id. */
async function knownPrincipal(deps: ControlDeps, identity: string): Promise<PrincipalRecord> {
  const id = identity.toLowerCase();
  const byId = isGuid(id)
    ? ((await deps.principals.byObjectId(id)) ?? (await deps.principals.byAppId(id)))
    : undefined;
  const found = byId ?? (await principalsNamed(deps, identity))[0];
  if (found === undefined) throw new Failure('notFound', `There is no identity '${identity}'.`);
  return found;
}

function principalView(principal: PrincipalRecord) {
  const { displayName, kind, appId, objectId, tenantId } = principal;
  return { name: displayName, kind, clientId: appId, objectId, tenantId };
}

function credentialView(credential: { keyId: string; hint: string; expires: number }) {
  return {
    keyId: credential.keyId,
    hint: credential.hint,
    expires: new Date(credential.expires).toISOString(),
  };
}
