/** Every kind of write by its name, for the process that runs those that others ask for. */
import { saveAnchor } from './audit-anchor.ts';
import type { Procedure } from './database.ts';
import { releaseLease, renewLease, takeLease } from './leases.ts';
import { decideObject } from './objects.ts';
import { addCredential, addPrincipal, removeCredential } from './principals.ts';
import { addAssignment, removeAssignment } from './role-assignments.ts';
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
import { addResourceGroup, addSubscription, addTenant, addVault, replaceVault } from './vaults.ts';

const all: readonly Procedure<never, unknown>[] = [
  addAssignment,
  addCredential,
  addItem,
  addPrincipal,
  addResourceGroup,
  addRootKey,
  addSubscription,
  addTenant,
  addVault,
  addVaultKey,
  decideObject,
  endHandover,
  putItem,
  releaseLease,
  removeAssignment,
  removeCredential,
  removeVaultKey,
  renewLease,
  replaceDataKeys,
  replaceRootSealed,
  replaceVault,
  retireOtherRootKeys,
  saveAnchor,
  swapItem,
  takeLease,
];

export const procedures: ReadonlyMap<string, Procedure<never, unknown>> = new Map(
  all.map((procedure) => [procedure.name, procedure]),
);
