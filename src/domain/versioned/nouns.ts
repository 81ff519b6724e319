/** The words and failures in which one kind of object differs from another, as rows. */
import { Failure, type FailureKind } from '../../core/errors.ts';
import type { ObjectKind } from '../../core/names.ts';

export interface Noun {
  readonly kind: ObjectKind;
  readonly singular: string;
  readonly notFound: FailureKind;
  /** How reading a disabled version is refused; undefined where it is allowed. */
  readonly disabled: FailureKind | undefined;
  /** What adding a version is called where that is refused. */
  readonly addition: string;
  /** How an operation is refused on what is kept by a certificate; undefined for what never is. */
  readonly managed?: (operation: string) => Failure;
  /** How a refusal names one version of an object. */
  readonly versionId: (name: string, version: string) => string;
}

export const secretNoun: Noun = {
  kind: 'secrets',
  singular: 'secret',
  notFound: 'secretNotFound',
  disabled: 'secretDisabled',
  addition: 'set',
  managed: (operation) =>
    new Failure(
      'secretManaged',
      `Operation "${operation}" is not allowed on this secret, since it is associated with a certificate. Perform the operation on the corresponding certificate. For more information refer to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate`,
    ),
  versionId: (name, version) => `${name}/${version}`,
};

export const keyNoun: Noun = {
  kind: 'keys',
  singular: 'key',
  notFound: 'keyNotFound',
  disabled: undefined,
  addition: 'create',
  managed: (operation) =>
    new Failure(
      'keyManaged',
      `Operation "${operation}" is not allowed as this object's lifetime is managed by Key Vault.`,
    ),
  versionId: (name, version) => `${name}/${version}`,
};

export const certificateNoun: Noun = {
  kind: 'certificates',
  singular: 'certificate',
  notFound: 'certificateNotFound',
  disabled: undefined,
  addition: 'create',
  versionId: (name, version) => `${name}/versions/${version}`,
};

function capital(noun: Noun): string {
  return noun.singular.charAt(0).toUpperCase() + noun.singular.slice(1);
}

/** The texts below are those that clients of Azure Key Vault know and match on. */
export function notFound(noun: Noun, name: string, version?: string): Failure {
  const id = version === undefined ? name : noun.versionId(name, version);
  return new Failure(
    noun.notFound,
    `A ${noun.singular} with (name/id) ${id} was not found in this key vault. If you recently deleted this ${noun.singular} you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182`,
  );
}

export function deletedNotFound(noun: Noun, name: string): Failure {
  return new Failure(noun.notFound, `Deleted ${capital(noun)} not found: ${name}`);
}

export function disabled(kind: FailureKind, noun: Noun): Failure {
  return new Failure(kind, `Operation get is not allowed on a disabled ${noun.singular}.`);
}

export function deletedButRecoverable(noun: Noun, name: string): Failure {
  return new Failure(
    'deletedButRecoverable',
    `${capital(noun)} ${name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the ${noun.singular} can only be recovered or purged.`,
  );
}

export function existsAlready(noun: Noun, name: string): Failure {
  return new Failure('notDeleted', `${capital(noun)} exists already: ${name}`);
}

export function mustBeDeletedFirst(noun: Noun): Failure {
  return new Failure('notDeletedBeforePurge', `${capital(noun)} must be deleted prior to being purged.`);
}

export function restoreConflict(noun: Noun, id: string): Failure {
  return new Failure(
    'conflict',
    `There was a conflict restoring the ${noun.singular} '${id}'. This can happen if either: a second ${noun.singular} with the same name was created after the first ${noun.singular} was deleted; thus trying to restore a ${noun.singular} whose name is already in use. To fix this, rename the second ${noun.singular} to something else so that the restore works. The second probable cause of this exception is when multiple operations are performed in parallel against the ${noun.singular}. To avoid this error, perform operations against a ${noun.singular} in a sequential manner.`,
  );
}

export function purgeProtected(vault: { name: string; location: string }): Failure {
  return new Failure(
    'purgeProtected',
    `Operation "purge" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: ${vault.name};location=${vault.location}`,
  );
}
