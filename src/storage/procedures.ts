/** Every kind of write by its name, for the process that runs those that others ask for. */
import { putChallenge, removeChallenge } from './acme-challenges.ts';
import { saveAnchor } from './audit-anchor.ts';
import type { Procedure } from './database.ts';
import {
  addResourceGroup,
  addSubscription,
  addTenant,
  removeResourceGroup,
  replaceOfSubscription,
  replaceResourceGroup,
} from './directory.ts';
import { releaseLease, renewLease, takeLease } from './leases.ts';
import { putLock, removeLock } from './locks.ts';
import {
  addGrantOnce,
  clearFailures,
  countFailure,
  exchangeGrants,
  pruneFailures,
  pruneGrants,
  replaceFailures,
  revokeFamily,
} from './login-grants.ts';
import { decideObject, decideObjects } from './objects.ts';
import { addCredential, removeCredential, replaceCredential } from './principal-credentials.ts';
import { addMember, addPrincipal, removeMember, removePrincipal, replacePrincipal } from './principals.ts';
import { addAssignment, putAssignment, removeAssignment } from './role-assignments.ts';
import { putDefinition, removeDefinition } from './role-definitions.ts';
import {
  addItem,
  addRootKey,
  addVaultKey,
  endHandover,
  putItem,
  removeVaultKey,
  replaceDataKeys,
  replaceRootSealed,
  retireOtherRootKeys,
  swapItem,
} from './sealing.ts';
import { addIdentity, removeIdentity, replaceIdentity } from './user-assigned-identities.ts';
import { beginVaultPurge, purgeSomeOfVault } from './vault-purge.ts';
import { addVault, deleteVault, recoverVault, replaceVault } from './vaults.ts';

const all: readonly Procedure<never, unknown>[] = [
  addAssignment,
  addCredential,
  addGrantOnce,
  addIdentity,
  addItem,
  addMember,
  addPrincipal,
  addResourceGroup,
  addRootKey,
  addSubscription,
  addTenant,
  addVault,
  addVaultKey,
  beginVaultPurge,
  clearFailures,
  countFailure,
  decideObject,
  decideObjects,
  deleteVault,
  endHandover,
  exchangeGrants,
  pruneFailures,
  pruneGrants,
  putAssignment,
  putChallenge,
  putDefinition,
  purgeSomeOfVault,
  putItem,
  putLock,
  recoverVault,
  releaseLease,
  removeAssignment,
  removeChallenge,
  removeCredential,
  removeDefinition,
  removeIdentity,
  removeLock,
  removeMember,
  removePrincipal,
  removeResourceGroup,
  removeVaultKey,
  renewLease,
  replaceDataKeys,
  replaceCredential,
  replaceFailures,
  replaceIdentity,
  replaceOfSubscription,
  replacePrincipal,
  replaceResourceGroup,
  replaceRootSealed,
  replaceVault,
  retireOtherRootKeys,
  revokeFamily,
  saveAnchor,
  swapItem,
  takeLease,
];

export const procedures: ReadonlyMap<string, Procedure<never, unknown>> = new Map(
  all.map((procedure) => [procedure.name, procedure]),
);
