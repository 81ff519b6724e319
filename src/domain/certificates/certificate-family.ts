/**
 * A certificate with what belongs to it, under one name: the linked key, the linked secret and the pending operation.
 * They are read and written together, so that none is ever there without the others.
 */
import { Failure } from '../../core/errors.ts';
import { objectKey, type StoredKind } from '../../core/names.ts';
import {
  certificateNoun,
  deletedButRecoverable,
  keyNoun,
  type Noun,
  secretNoun,
} from '../versioned/nouns.ts';
import type { ObjectChange, ObjectKey, ObjectState, ObjectWriter } from '../versioned/object-store.ts';

export interface Family<T> {
  readonly certificate: T;
  readonly key: T;
  readonly pending: T;
  readonly secret: T;
}

export type FamilyChange = Partial<Family<ObjectChange<unknown>>>;

/** In the order in which they are locked, that of their kinds. */
const members = [
  ['certificate', 'certificates'],
  ['key', 'keys'],
  ['pending', 'pendingcertificates'],
  ['secret', 'secrets'],
] as const satisfies readonly (readonly [keyof Family<unknown>, StoredKind])[];

export function familyKeys(vaultId: string, name: string): Family<ObjectKey> {
  const nameKey = objectKey(name);
  const keyOf = (kind: StoredKind): ObjectKey => ({ vaultId, kind, nameKey });
  return {
    certificate: keyOf('certificates'),
    key: keyOf('keys'),
    pending: keyOf('pendingcertificates'),
    secret: keyOf('secrets'),
  };
}

export const unchanged: ObjectChange<undefined> = { head: 'same', result: undefined };

/** Decides on the whole family, with the asked or the current version of each, and writes what was decided at once. */
export function changeFamily<T>(
  writer: ObjectWriter,
  of: { vaultId: string; name: string; version?: string | undefined },
  decide: (states: Family<ObjectState>) => { changes: FamilyChange; result: T },
): Promise<T> {
  const keys = familyKeys(of.vaultId, of.name);
  // A pending operation has no versions but its own.
  const asked = members.map(([member]) => ({
    key: keys[member],
    version: member === 'pending' ? undefined : of.version,
  }));
  return writer.changeTogether(asked, (states) => {
    const [certificate, key, pending, secret] = states;
    if (certificate === undefined || key === undefined || pending === undefined || secret === undefined)
      throw new TypeError('there is one state for each object');
    const { changes, result } = decide({ certificate, key, pending, secret });
    return { changes: members.map(([member]) => changes[member] ?? unchanged), result };
  });
}

/** Whether a key or secret belongs to the certificate of its name: others can be made under it while it is pending. */
export function isLinked({ version }: ObjectState): boolean {
  return version?.managed === true;
}

/** Refuses a name that a key or secret has which no certificate manages, or that a deleted family holds. */
export function assertNameFree(states: Family<ObjectState>): void {
  for (const [{ head, version }, noun] of holders(states)) {
    if (head?.deletedAt !== undefined) throw deletedButRecoverable(noun, head.name);
    if (head !== undefined && noun !== certificateNoun && !isLinked({ head, version })) {
      throw new Failure(
        'conflict',
        `A certificate cannot be made under the name ${head.name}, since there is a ${noun.singular} of that name which belongs to no certificate.`,
      );
    }
  }
}

function holders({
  certificate,
  key,
  secret,
}: Family<ObjectState>): readonly (readonly [ObjectState, Noun])[] {
  return [
    [certificate, certificateNoun],
    [key, keyNoun],
    [secret, secretNoun],
  ];
}
