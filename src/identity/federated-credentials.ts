/**
 * Federated credentials as the management plane has them: under names that compare without case, of which an identity
 * has each once, and that a PUT makes or changes.
 */
import { isFailure } from '../core/errors.ts';
import { foldCase } from '../core/names.ts';
import { nameBasedGuid } from '../crypto/digests.ts';
import { addFederated, changeFederated, type FederatedInput, federatedOf } from './applications.ts';
import type { ClientCredential, DirectoryDeps, PrincipalStore } from './principals.ts';

/** Namespace of the key ids that follow from names: of two who make one name at once, one is refused. */
const nameNamespace = '0b0a7f43-5f0e-4f0c-8f2b-3f9a4f6f2d11';

/** The credential of this name; undefined if there is none. */
export function federatedNamed(
  credentials: readonly ClientCredential[],
  name: string,
): ClientCredential | undefined {
  return allNamed(credentials, name)[0];
}

function allNamed(credentials: readonly ClientCredential[], name: string): readonly ClientCredential[] {
  const isNamed = ({ detail }: ClientCredential) =>
    detail.federated !== undefined && foldCase(detail.federated.name) === foldCase(name);
  return federatedOf(credentials).filter(isNamed);
}

/**
 * Makes the credential of this name, or changes the one that is there. Fails with `badParameter`, `notFound`, or
 * `alreadyExists` for an issuer and subject that another one has.
 */
export async function putFederated(
  deps: DirectoryDeps,
  objectId: string,
  input: FederatedInput,
): Promise<{ credential: ClientCredential; isNew: boolean }> {
  const { store } = deps;
  const changed = async () => {
    const was = federatedNamed(await store.credentialsOf(objectId), input.name);
    const { name: _kept, ...change } = input;
    return was === undefined ? undefined : changeFederated(store, was, change);
  };
  const there = await changed();
  if (there !== undefined) return { credential: there, isNew: false };
  const keyId = nameBasedGuid(nameNamespace, JSON.stringify([objectId, foldCase(input.name)]));
  try {
    return { credential: await addFederated(deps, objectId, input, keyId), isNew: true };
  } catch (error) {
    const made = isFailure(error, 'alreadyExists') ? await changed() : undefined;
    if (made === undefined) throw error;
    return { credential: made, isNew: false };
  }
}

/** Removes every credential of this name: operators' commands know names by their case. False if there was none. */
export async function removeFederated(
  store: PrincipalStore,
  objectId: string,
  name: string,
): Promise<boolean> {
  let isRemoved = false;
  for (const { keyId } of allNamed(await store.credentialsOf(objectId), name))
    if (await store.removeCredential(objectId, keyId)) isRemoved = true;
  return isRemoved;
}
