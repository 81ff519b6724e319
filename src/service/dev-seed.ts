/** What `--dev` makes at its first start: the vault `dev`, and identities that may use it. Later starts find them. */

import { vaultScope } from '../authorization/authorize.ts';
import { findRole } from '../authorization/roles.ts';
import { SecretBytes } from '../core/secret-bytes.ts';
import { defaultLocation, defaultResourceGroup } from '../domain/vaults/first-start.ts';
import {
  createApplication,
  createManagedIdentity,
  type PrincipalDetail,
  type PrincipalRecord,
} from '../identity/principals.ts';
import type { Core } from './core.ts';
import type { Data, Tools } from './data.ts';

/** The identities that commands run by `exec` use, and the client secret of the first. */
export interface DevIdentities {
  readonly clientId: string;
  readonly clientSecret: string;
  /** Milliseconds since 1970. */
  readonly secretExpires: number;
  readonly objectId: string;
  readonly managedIdentity: string;
  /** Whether the first has been made owner of the subscription; before there was a management plane nobody was. */
  readonly ownsSubscription?: boolean;
}

const item = 'dev-identities';
const vaultName = 'dev';
const secretLifetime = 365 * 24 * 60 * 60 * 1000;
const secretReserve = 30 * 24 * 60 * 60 * 1000;

/** The identities made before; undefined on a server that was never started with `--dev`. */
export async function readDevIdentities(data: Data): Promise<DevIdentities | undefined> {
  const stored = await data.items.get(item);
  return stored === undefined ? undefined : (JSON.parse(stored.exposeText()) as DevIdentities);
}

/** Makes what is missing and renews a client secret that nears its end. */
export async function seedDev(tools: Tools, data: Data, core: Core): Promise<void> {
  const known = await readDevIdentities(data);
  const lasting = known !== undefined && known.secretExpires - tools.clock.now() > secretReserve;
  // Once: an assignment that was taken away since stays away.
  if (lasting && known.ownsSubscription === true) return;
  const identities = known === undefined ? await makeIdentities(tools, core) : known;
  if (known?.ownsSubscription !== true) {
    const principal = { objectId: identities.objectId, tenantId: core.tenant.id };
    await giveRole(tools, core, {
      role: 'Owner',
      principal,
      scope: `/subscriptions/${core.subscription.id}`,
    });
  }
  const secret = lasting ? known : await makeSecret(tools, core, identities.objectId);
  const record: DevIdentities = { ...identities, ...secret, ownsSubscription: true };
  await data.items.put(item, SecretBytes.fromText(JSON.stringify(record)));
}

async function makeSecret(
  tools: Tools,
  core: Core,
  objectId: string,
): Promise<Pick<DevIdentities, 'clientSecret' | 'secretExpires'>> {
  const secretExpires = tools.clock.now() + secretLifetime;
  const { secret } = await core.identity.addSecret({ objectId, expires: secretExpires });
  return { clientSecret: secret.exposeText(), secretExpires };
}

async function makeIdentities(
  tools: Tools,
  core: Core,
): Promise<Omit<DevIdentities, 'clientSecret' | 'secretExpires'>> {
  const { tenant, subscription, identity } = core;
  const deps = { store: identity.principals, clock: tools.clock, random: tools.random };
  const vault =
    (await core.vaults.find(vaultName)) ??
    (await core.vaults.create({
      name: vaultName,
      tenantId: tenant.id,
      subscriptionId: subscription.id,
      resourceGroup: defaultResourceGroup,
      location: defaultLocation,
      // Every kind of key can be tried.
      sku: 'premium',
    }));
  // Each is found again by its resource id, so that a first start that was cut short makes none of them twice.
  const found = async (resourceId: string, make: () => Promise<PrincipalRecord>): Promise<PrincipalRecord> =>
    (await deps.store.byResourceId(tenant.id, resourceId)) ?? make();
  const application = (displayName: string, detail: PrincipalDetail) => {
    const of = { tenantId: tenant.id, displayName, resourceId: `/strongroom/dev/${displayName}`, detail };
    return found(of.resourceId, () => createApplication(deps, of));
  };
  const administrator = await application('administrator', {});
  const developer = await application('developer', { directoryAdministrator: true });
  const workloadId = `/subscriptions/${subscription.id}/resourcegroups/${defaultResourceGroup}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/workload`;
  const workload = await found(workloadId, () =>
    createManagedIdentity(deps, { tenantId: tenant.id, displayName: 'workload', resourceId: workloadId }),
  );
  const role = 'Key Vault Administrator';
  await giveRole(tools, core, {
    ...{ role, principal: administrator },
    scope: `/subscriptions/${subscription.id}`,
  });
  for (const principal of [developer, workload]) {
    await giveRole(tools, core, { role, principal, scope: vaultScope(vault) });
  }
  return {
    clientId: developer.appId ?? '',
    objectId: developer.objectId,
    managedIdentity: workload.objectId,
  };
}

async function giveRole(
  tools: Tools,
  core: Core,
  to: { role: string; principal: Pick<PrincipalRecord, 'objectId' | 'tenantId'>; scope: string },
): Promise<void> {
  const role = findRole(to.role);
  if (role === undefined) throw new TypeError(`the role ${to.role} is missing`);
  await core.assignments.add({
    id: tools.random.guid(),
    tenantId: to.principal.tenantId,
    principalId: to.principal.objectId,
    roleId: role.id,
    scope: to.scope,
    created: tools.clock.now(),
    principalType: 'ServicePrincipal',
  });
}
