/** The token signing keys, all in one sealed item, swapped as a whole. */
import { SecretBytes } from '../core/secret-bytes.ts';
import type { SealedItems } from '../domain/sealing/sealed-items.ts';
import type { SigningKey, SigningKeyStore } from '../identity/signing-keys.ts';

const itemName = 'signing-keys';

interface Stored {
  readonly revision: number;
  readonly keys: readonly (Omit<SigningKey, 'privateKey'> & { readonly privateKey: string })[];
}

export function createSigningKeyStore(items: SealedItems): SigningKeyStore {
  const read = async () => {
    const found = await items.read(itemName);
    const stored: Stored =
      found === undefined ? { revision: 0, keys: [] } : JSON.parse(found.value.exposeText());
    return { stored, mark: found?.mark };
  };
  return {
    async load() {
      const { stored } = await read();
      const keys = stored.keys.map((key) => ({
        ...key,
        privateKey: new SecretBytes(Buffer.from(key.privateKey, 'base64')),
      }));
      return { keys, revision: stored.revision };
    },
    async save(keys, revision) {
      const { stored, mark } = await read();
      if (stored.revision !== revision) return undefined;
      const next: Stored = {
        revision: revision + 1,
        keys: keys.map((key) => ({
          ...key,
          privateKey: Buffer.from(key.privateKey.exposeBytes()).toString('base64'),
        })),
      };
      return (await items.swap(itemName, SecretBytes.fromText(JSON.stringify(next)), mark))
        ? next.revision
        : undefined;
    },
  };
}
