/** The operations that are the same for every kind of object with versions: lists, deletion and recovery, backup. */
import type { Action } from '../../authorization/actions.ts';
import { assertGranted } from '../../authorization/grant.ts';
import type { Page, PageRequest } from '../../core/paging.ts';
import type { VaultGrant } from '../vaults/vault.ts';
import type { ObjectBackups } from './object-backup.ts';
import type { HeadAndVersion, ObjectHead } from './object-store.ts';
import type { VersionedObjects } from './versioned-objects.ts';

/** A version and what is known of its head: in a list of versions no more than the name. */
export type Shown = Pick<HeadAndVersion, 'version'> & {
  readonly head: Pick<ObjectHead, 'name'> & Partial<ObjectHead>;
};

/** When an object was deleted and when it will be gone, in Unix seconds. */
export interface Deletion {
  readonly deletedAt: number;
  readonly purgeAt: number;
}

/** Undefined for a live object. */
export function deletionOf({ deletedAt, purgeAt }: Shown['head']): Deletion | undefined {
  return deletedAt === undefined || purgeAt === undefined ? undefined : { deletedAt, purgeAt };
}

/** The action of each operation; `getDeleted` has no value and may take less than `get`. */
export interface ObjectActions {
  readonly list: Action;
  readonly delete: Action;
  readonly getDeleted: Action;
  readonly recover: Action;
  readonly purge: Action;
  readonly backup: Action;
  readonly restore: Action;
}

export interface ObjectOperations<T> {
  list(grant: VaultGrant, page: PageRequest): Promise<Page<T>>;
  listVersions(grant: VaultGrant, page: PageRequest): Promise<Page<T>>;
  delete(grant: VaultGrant): Promise<T>;
  getDeleted(grant: VaultGrant): Promise<T>;
  listDeleted(grant: VaultGrant, page: PageRequest): Promise<Page<T>>;
  recover(grant: VaultGrant): Promise<T>;
  purge(grant: VaultGrant): Promise<void>;
  /** A sealed blob of every version; refused above 500 versions. */
  backup(grant: VaultGrant): Promise<string>;
  /** `identify` gives the identifier that a refusal quotes. */
  restore(
    grant: VaultGrant,
    input: { blob: string; identify: (name: string, version: string) => string },
  ): Promise<T>;
}

export function createObjectOperations<V, T>(of: {
  objects: VersionedObjects<V>;
  backups: ObjectBackups;
  actions: ObjectActions;
  show: (shown: Shown) => T;
}): ObjectOperations<T> {
  const { objects, backups, actions, show } = of;
  const page = (rows: Page<HeadAndVersion>): Page<T> => ({
    ...rows,
    items: rows.items.map((row) => show(row)),
  });
  return {
    async list(grant, request) {
      assertGranted(grant, actions.list);
      return page(await objects.list(grant, request));
    },
    async listVersions(grant, request) {
      assertGranted(grant, actions.list);
      const { name, page: rows } = await objects.listVersions(grant, request);
      return { ...rows, items: rows.items.map((version) => show({ head: { name }, version })) };
    },
    async delete(grant) {
      assertGranted(grant, actions.delete);
      return show(await objects.delete(grant));
    },
    async getDeleted(grant) {
      assertGranted(grant, actions.getDeleted);
      return show(await objects.getDeleted(grant));
    },
    async listDeleted(grant, request) {
      assertGranted(grant, actions.list);
      return page(await objects.listDeleted(grant, request));
    },
    async recover(grant) {
      assertGranted(grant, actions.recover);
      return show(await objects.recover(grant));
    },
    async purge(grant) {
      assertGranted(grant, actions.purge);
      return objects.purge(grant);
    },
    async backup(grant) {
      assertGranted(grant, actions.backup);
      return backups.seal(grant.vault, await objects.export(grant));
    },
    async restore(grant, { blob, identify }) {
      assertGranted(grant, actions.restore);
      const backup = await backups.open(grant.vault, blob);
      return show(await objects.import(grant, { ...backup, identify }));
    },
  };
}
