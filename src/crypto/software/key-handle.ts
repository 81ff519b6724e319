/**
 * The handle of one opened key: checks that the algorithm is one for the key, counts what is under way, and wipes its
 * copy of the material when it is closed and the last of it has ended.
 */
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { EncryptionAlgorithm, KeyTransportAlgorithm, SignatureAlgorithm } from '../algorithms.ts';
import {
  type DecryptInput,
  type Encrypted,
  type EncryptInput,
  type KeyHandle,
  KeyHandleClosed,
  type KeySpec,
  type NewKey,
  type PublicJwk,
} from '../provider.ts';
import { type HeldKey, type HeldKeyDeps, holdKey } from './held-key.ts';
import { importOctets, importPkcs8 } from './jwk-import.ts';
import { unwrapTransport, wrapForTransport } from './key-transport.ts';

export class SoftwareKeyHandle implements KeyHandle {
  readonly spec: KeySpec;
  readonly #deps: HeldKeyDeps;
  readonly #material: SecretBytes;
  readonly #key: HeldKey;
  #underWay = 0;
  #closed = false;

  constructor(deps: HeldKeyDeps, key: { readonly spec: KeySpec; readonly material: SecretBytes }) {
    this.spec = key.spec;
    this.#deps = deps;
    this.#material = new SecretBytes(new Uint8Array(key.material.exposeBytes()));
    this.#key = holdKey(deps, key.spec, this.#material.exposeBytes());
  }

  sign(algorithm: SignatureAlgorithm, value: Uint8Array): Promise<Uint8Array> {
    return this.#use(() => {
      assertSigns(this.spec, algorithm);
      return this.#key.sign(algorithm, value);
    });
  }

  verify(algorithm: SignatureAlgorithm, value: Uint8Array, signature: Uint8Array): Promise<boolean> {
    return this.#use(() => {
      assertSigns(this.spec, algorithm);
      return this.#key.verify(algorithm, value, signature);
    });
  }

  encrypt(algorithm: EncryptionAlgorithm, input: EncryptInput): Promise<Encrypted> {
    return this.#use(() => {
      assertEncrypts(this.spec, algorithm);
      return this.#key.encrypt(algorithm, input);
    });
  }

  decrypt(algorithm: EncryptionAlgorithm, input: DecryptInput): Promise<SecretBytes> {
    return this.#use(() => {
      assertEncrypts(this.spec, algorithm);
      return this.#key.decrypt(algorithm, input);
    });
  }

  exportWrapped(algorithm: KeyTransportAlgorithm, to: PublicJwk): Promise<Uint8Array> {
    return this.#use(async () =>
      wrapForTransport(this.#deps.random, algorithm, { octets: this.#material.exposeBytes(), to }),
    );
  }

  importWrapped(
    algorithm: KeyTransportAlgorithm,
    input: { readonly wrapped: Uint8Array; readonly isOctets: boolean },
  ): Promise<NewKey> {
    return this.#use(async () => {
      if (this.spec.type !== 'RSA') throw new TypeError('only an RSA key opens a wrapped key');
      const transport = { ...this.#key, bits: this.spec.bits };
      const octets = await unwrapTransport(transport, algorithm, input.wrapped);
      try {
        const bytes = octets.exposeBytes();
        return input.isOctets ? importOctets(bytes) : await importPkcs8(this.#deps.pool, bytes);
      } finally {
        octets.wipe();
      }
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wipeWhenIdle();
  }

  async #use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new KeyHandleClosed();
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#wipeWhenIdle();
    }
  }

  #wipeWhenIdle(): void {
    if (!this.#closed || this.#underWay > 0) return;
    this.#key.close();
    this.#material.wipe();
  }
}

/** The caller has checked it, as it has the length of digests; a mistake there must not end in a signature of another kind. */
function assertSigns(spec: KeySpec, { name, keyType, only }: SignatureAlgorithm): void {
  if (spec.type !== keyType) throw new TypeError(`${name} is not for ${spec.type} keys`);
  const kind = kindOf(spec);
  if (only !== undefined && only !== kind) throw new TypeError(`${name} is not for ${kind}`);
}

function assertEncrypts(spec: KeySpec, { name, keyType, bits }: EncryptionAlgorithm): void {
  if (spec.type !== keyType) throw new TypeError(`${name} is not for ${spec.type} keys`);
  if (bits !== undefined && spec.type === 'oct' && spec.bits !== bits)
    throw new TypeError(`${name} is not for keys of ${spec.bits} bits`);
}

function kindOf(spec: KeySpec): string | undefined {
  if (spec.type === 'EC') return spec.curve;
  return spec.type === 'AKP' ? spec.parameterSet : undefined;
}
