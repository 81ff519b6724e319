/** Groups and who is in them. Groups nest; a circle of them harms nothing: all in it are in all of it. */
import { Failure } from '../core/errors.ts';
import {
  type DirectoryDeps,
  type PrincipalDetail,
  type PrincipalRecord,
  type PrincipalStore,
  register,
} from './principals.ts';

/** Registers a security group. Fails with `badParameter` for a name that cannot be. */
export function createGroup(
  deps: DirectoryDeps,
  input: { tenantId: string; displayName: string; detail?: PrincipalDetail },
): Promise<PrincipalRecord> {
  return register(deps, { ...input, kind: 'group' });
}

/**
 * Puts a principal of the same tenant, of any kind, into a group. Fails with `notFound` if either is missing, with
 * `badParameter` for the group itself, with `alreadyExists` for a member.
 */
export async function addMember(store: PrincipalStore, groupId: string, memberId: string): Promise<void> {
  if (groupId === memberId) throw new Failure('badParameter', 'A group cannot be a member of itself.');
  const [group, member] = [await store.byObjectId(groupId), await store.byObjectId(memberId)];
  if (group?.kind !== 'group') throw new Failure('notFound', 'There is no such group.');
  if (member === undefined || member.tenantId !== group.tenantId || member.detail.awaitsServicePrincipal)
    throw new Failure('notFound', 'There is no such principal.');
  await store.addMember(groupId, memberId);
}

/** Takes a principal out of a group. Fails with `notFound` if it is not directly in it. */
export async function removeMember(store: PrincipalStore, groupId: string, memberId: string): Promise<void> {
  if (!(await store.removeMember(groupId, memberId)))
    throw new Failure('notFound', 'The group has no such member.');
}

/** Everyone in a group, directly or through other groups, each once, in the order of object ids. */
export async function transitiveMembers(
  store: PrincipalStore,
  groupId: string,
): Promise<readonly PrincipalRecord[]> {
  const found = new Map<string, PrincipalRecord>();
  const seen = new Set([groupId]);
  const open = [groupId];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const member of await store.membersOf(id)) {
      if (member.objectId !== groupId) found.set(member.objectId, member);
      if (member.kind !== 'group' || seen.has(member.objectId)) continue;
      seen.add(member.objectId);
      open.push(member.objectId);
    }
  }
  return [...found.values()].sort((a, b) => (a.objectId < b.objectId ? -1 : 1));
}
