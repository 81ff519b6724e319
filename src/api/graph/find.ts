/** Finds the object that a path names, of the caller's tenant and of the path's kind; everything else is a 404. */
import { Failure } from '../../core/errors.ts';
import { isGuid } from '../../core/names.ts';
import type { PrincipalRecord } from '../../identity/principals.ts';
import type { GraphCall } from './route.ts';
import { referencedId } from './wire.ts';

type Call = GraphCall<unknown>;

/** By object id or user principal name. */
export function findUser(call: Call): Promise<PrincipalRecord> {
  const key = keyOf(call);
  const { store } = call.deps;
  const found = isGuid(key) ? store.byObjectId(key.toLowerCase()) : store.byUserName(call.tenant.id, key);
  return only(call, found, (record) => record.kind === 'user');
}

export function findGroup(call: Call): Promise<PrincipalRecord> {
  const found = call.deps.store.byObjectId(keyOf(call).toLowerCase());
  return only(call, found, (record) => record.kind === 'group');
}

/** By object id, or `appId=…` in the place of it. */
export function findServicePrincipal(call: Call): Promise<PrincipalRecord> {
  const key = keyOf(call).toLowerCase();
  const appId = appIdOf(key);
  const { store } = call.deps;
  const found = appId === undefined ? store.byObjectId(key) : store.byAppId(appId);
  return only(call, found, isServicePrincipal);
}

/** By the application object's id, or `appId=…` in the place of it. */
export function findApplication(call: Call): Promise<PrincipalRecord> {
  const key = keyOf(call).toLowerCase();
  const appId = appIdOf(key);
  const { store } = call.deps;
  const found = appId === undefined ? store.byApplicationId(key) : store.byAppId(appId);
  return only(call, found, isApplication);
}

/** A user, group or service principal. */
export function findObject(call: Call): Promise<PrincipalRecord> {
  return only(call, call.deps.store.byObjectId(keyOf(call).toLowerCase()), isObject);
}

/** The objects that references name, all of them there, before anything is done with the first. */
export async function objectsOf(
  call: Call,
  references: readonly string[] | undefined,
): Promise<readonly PrincipalRecord[]> {
  const found: PrincipalRecord[] = [];
  for (const id of new Set((references ?? []).map(referencedId))) {
    const record = await call.deps.store.byObjectId(id);
    if (record === undefined || record.tenantId !== call.tenant.id || !isObject(record))
      throw resourceNotFound(id);
    found.push(record);
  }
  return found;
}

/** Who calls, as users and no one else can ask. */
export async function findMe(call: Call): Promise<PrincipalRecord> {
  if (call.caller.kind !== 'user')
    throw new Failure('badParameter', '/me request is only valid with delegated authentication flow.');
  return call.callerRecord;
}

export function isServicePrincipal(record: PrincipalRecord): boolean {
  const { kind } = record;
  return kind !== 'user' && kind !== 'group' && record.detail.awaitsServicePrincipal !== true;
}

export function isApplication(record: PrincipalRecord): boolean {
  return record.kind === 'application' && record.applicationId !== undefined;
}

export function isObject(record: PrincipalRecord): boolean {
  return record.detail.awaitsServicePrincipal !== true;
}

function keyOf(call: Call): string {
  return call.params.id ?? '';
}

function appIdOf(key: string): string | undefined {
  return /^appid=(.*)$/.exec(key)?.[1];
}

async function only(
  call: Call,
  found: Promise<PrincipalRecord | undefined>,
  fits: (record: PrincipalRecord) => boolean,
): Promise<PrincipalRecord> {
  const record = await found;
  if (record !== undefined && record.tenantId === call.tenant.id && fits(record)) return record;
  throw resourceNotFound(keyOf(call));
}

export function resourceNotFound(key: string): Failure {
  const shown = /^[\w@.=-]{1,128}$/.test(key) ? key : '(not shown)';
  return new Failure(
    'notFound',
    `Resource '${shown}' does not exist or one of its queried reference-property objects are not present.`,
  );
}
