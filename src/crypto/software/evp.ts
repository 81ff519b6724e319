/**
 * OpenSSL's EVP functions over one private key, in the library that Node.js itself runs on: with `rc2.ts`, the only file that
 * handles pointers. A call is set up first and then run once, here or in the pool. Every return code is checked, every buffer
 * is as long as OpenSSL asks for, and nothing that a caller owns is read after the function that it was passed to returns.
 */
import { createRequire } from 'node:module';
import type { KoffiFunc } from 'koffi';

/** What `EVP_PKEY_CTX_ctrl_str` is told, in this order; the names are those of `openssl pkeyutl -pkeyopt`. */
export type Settings = readonly (readonly [name: string, value: string])[];

/**
 * A call with its own context, which holds a reference to the key until the call has ended. It must be run, and can be
 * run only once. `inPool` takes a thread of libuv's pool (koffi queues its asynchronous calls there, as Node-API work).
 */
export interface PreparedCall<T> {
  here(): T;
  inPool(): Promise<T>;
}

export interface EvpKey {
  /** The longest signature and plaintext, in bytes; for RSA the length of the modulus. */
  readonly size: number;
  /** The public key (SubjectPublicKeyInfo, DER). */
  readonly spki: Uint8Array;
  /** ECDSA: DER. Throws if OpenSSL refuses. */
  sign(settings: Settings, digest: Uint8Array): PreparedCall<Uint8Array>;
  verify(settings: Settings, digest: Uint8Array, signature: Uint8Array): PreparedCall<boolean>;
  /** Undefined if it is refused. Both outcomes take the same steps. The bytes are the caller's to wipe. */
  decrypt(settings: Settings, ciphertext: Uint8Array): PreparedCall<Uint8Array | undefined>;
  /** OpenSSL wipes the key when the last call that was set up before has ended. Nothing can be set up after. */
  free(): void;
}

export interface Evp {
  /** Reads PKCS#8 (DER) in place, exactly: throws if it is anything but one private key, of whatever type. */
  load(pkcs8: Uint8Array): EvpKey;
}

type KeyPointer = bigint & { readonly to: 'EVP_PKEY' };
type ContextPointer = bigint & { readonly to: 'EVP_PKEY_CTX' };
/** `size_t *`: in, the room that there is; out, what was used. */
type Length = [number | bigint];
type Operation = 'sign' | 'verify' | 'decrypt';
type Initialise = (context: ContextPointer) => number;
/** `EVP_PKEY_sign` and `EVP_PKEY_decrypt` have one form. */
type Transform = (
  context: ContextPointer,
  out: Uint8Array,
  room: Length,
  input: Uint8Array,
  inputLength: number,
) => number;
type Verify = (
  context: ContextPointer,
  signature: Uint8Array,
  signatureLength: number,
  digest: Uint8Array,
  digestLength: number,
) => number;

type Functions = ReturnType<typeof bind>;

/** OpenSSL's one answer that means done; 0 and negative numbers are failures. */
const done = 1;

/**
 * The functions of a library, or with `null` of Node's own binary and what it is linked to (dlopen(3)), which serves a
 * Node.js with a shared OpenSSL too. Throws if koffi cannot be loaded, or the library or one of the functions is missing.
 */
export function openEvp(path: string | null): Evp {
  const functions = bind(path);
  return { load: (pkcs8) => loadKey(functions, pkcs8) };
}

/** The prototypes are those of OpenSSL's manual, without `const` and with every structure as `void`. */
function bind(path: string | null) {
  const koffi: typeof import('koffi') = createRequire(import.meta.url)('koffi');
  const library = koffi.load(path);
  const bound = <F extends (...parameters: never[]) => unknown>(prototype: string) =>
    library.func(prototype) as unknown as KoffiFunc<F>;
  return {
    addressOf: koffi.address,
    clearErrors: bound<() => void>('void ERR_clear_error(void)'),
    readKey: bound<(key: null, cursor: [unknown], length: number) => KeyPointer | null>(
      'void *d2i_AutoPrivateKey(void *a, _Inout_ void **pp, long length)',
    ),
    writePublicKey: bound<(key: KeyPointer, cursor: [unknown] | null) => number>(
      'int i2d_PUBKEY(void *a, _Inout_ void **pp)',
    ),
    freeKey: bound<(key: KeyPointer) => void>('void EVP_PKEY_free(void *key)'),
    sizeOf: bound<(key: KeyPointer) => number>('int EVP_PKEY_get_size(void *pkey)'),
    newContext: bound<(library: null, key: KeyPointer, query: null) => ContextPointer | null>(
      'void *EVP_PKEY_CTX_new_from_pkey(void *libctx, void *pkey, void *propquery)',
    ),
    freeContext: bound<(context: ContextPointer) => void>('void EVP_PKEY_CTX_free(void *ctx)'),
    set: bound<(context: ContextPointer, name: string, value: string) => number>(
      'int EVP_PKEY_CTX_ctrl_str(void *ctx, str type, str value)',
    ),
    initialise: {
      sign: bound<Initialise>('int EVP_PKEY_sign_init(void *ctx)'),
      verify: bound<Initialise>('int EVP_PKEY_verify_init(void *ctx)'),
      decrypt: bound<Initialise>('int EVP_PKEY_decrypt_init(void *ctx)'),
    },
    sign: bound<Transform>(
      'int EVP_PKEY_sign(void *ctx, void *sig, _Inout_ size_t *siglen, void *tbs, size_t tbslen)',
    ),
    verify: bound<Verify>(
      'int EVP_PKEY_verify(void *ctx, void *sig, size_t siglen, void *tbs, size_t tbslen)',
    ),
    decrypt: bound<Transform>(
      'int EVP_PKEY_decrypt(void *ctx, void *out, _Inout_ size_t *outlen, void *in, size_t inlen)',
    ),
  };
}

function loadKey(functions: Functions, pkcs8: Uint8Array): EvpKey {
  const cursor: [unknown] = [pkcs8];
  const pointer = functions.readKey(null, cursor, pkcs8.length);
  if (pointer === null) throw refused(functions, 'd2i_AutoPrivateKey');
  try {
    if (cursor[0] !== functions.addressOf(pkcs8) + BigInt(pkcs8.length))
      throw new Error('the private key does not end where its bytes end');
    return openKey(functions, pointer);
  } catch (error) {
    functions.freeKey(pointer);
    throw error;
  }
}

function openKey(functions: Functions, pointer: KeyPointer): EvpKey {
  const size = functions.sizeOf(pointer);
  if (size <= 0) throw refused(functions, 'EVP_PKEY_get_size');
  const spki = publicKeyOf(functions, pointer);
  let key: KeyPointer | undefined = pointer;

  function context(operation: Operation, settings: Settings): ContextPointer {
    if (key === undefined) throw new Error('the key was freed');
    return newContext(functions, key, { operation, settings });
  }
  return {
    size,
    spki,
    sign(settings, digest) {
      const output = Buffer.alloc(size);
      const length: Length = [size];
      const input = Buffer.from(digest);
      return prepared(functions, functions.sign, {
        parameters: [context('sign', settings), output, length, input, input.length],
        result(code) {
          if (code !== done) throw new Error(`EVP_PKEY_sign failed (${code})`);
          return output.subarray(0, Number(length[0]));
        },
      });
    },
    verify(settings, digest, signature) {
      const given = Buffer.from(signature);
      const input = Buffer.from(digest);
      return prepared(functions, functions.verify, {
        parameters: [context('verify', settings), given, given.length, input, input.length],
        result: (code) => code === done,
      });
    },
    decrypt(settings, ciphertext) {
      const output = Buffer.alloc(size);
      const length: Length = [size];
      const input = Buffer.from(ciphertext);
      return prepared(functions, functions.decrypt, {
        parameters: [context('decrypt', settings), output, length, input, input.length],
        result(code) {
          const plaintext = Uint8Array.from(output.subarray(0, code === done ? Number(length[0]) : 0));
          output.fill(0);
          return code === done ? plaintext : undefined;
        },
      });
    },
    free() {
      if (key !== undefined) functions.freeKey(key);
      key = undefined;
    },
  };
}

function publicKeyOf(functions: Functions, key: KeyPointer): Uint8Array {
  const length = functions.writePublicKey(key, null);
  if (length <= 0) throw refused(functions, 'i2d_PUBKEY');
  const spki = Buffer.alloc(length);
  if (functions.writePublicKey(key, [spki]) !== length) throw refused(functions, 'i2d_PUBKEY');
  return spki;
}

/** A context for one call. It counts as a user of the key (`EVP_PKEY_up_ref`), and is never shared between threads. */
function newContext(
  functions: Functions,
  key: KeyPointer,
  { operation, settings }: { operation: Operation; settings: Settings },
): ContextPointer {
  const context = functions.newContext(null, key, null);
  if (context === null) throw refused(functions, 'EVP_PKEY_CTX_new_from_pkey');
  try {
    if (functions.initialise[operation](context) !== done)
      throw refused(functions, `EVP_PKEY_${operation}_init`);
    for (const [name, value] of settings) {
      if (functions.set(context, name, value) !== done)
        throw refused(functions, `the setting ${name}=${value}`);
    }
    return context;
  } catch (error) {
    functions.freeContext(context);
    throw error;
  }
}

/**
 * The parameters hold the buffers: they are needed until `end`, in the pool too, so that none can be collected while
 * OpenSSL uses it. What is read is the return code, never the error queue. Here the queue is cleared; what a refusal leaves
 * in that of a pool thread stays, since no second call can be sent to the same thread: at most the 16 entries that OpenSSL
 * keeps, none with anything secret. They can show up in the text of a later error of `node:crypto` from that thread.
 */
function prepared<P extends [ContextPointer, ...unknown[]], T>(
  functions: Functions,
  native: KoffiFunc<(...parameters: P) => number>,
  { parameters, result }: { parameters: P; result: (code: number) => T },
): PreparedCall<T> {
  const [context] = parameters;
  let started = false;

  function start() {
    if (started) throw new Error('a prepared call runs only once');
    started = true;
  }
  function end() {
    functions.freeContext(context);
    functions.clearErrors();
    parameters.length = 0;
  }
  return {
    here() {
      start();
      try {
        return result(native(...parameters));
      } finally {
        end();
      }
    },
    inPool() {
      start();
      return new Promise<T>((resolve, reject) => {
        const settle = (error: unknown, code: number) => {
          try {
            if (error !== null) throw error;
            resolve(result(code));
          } catch (reason) {
            reject(reason);
          } finally {
            end();
          }
        };
        try {
          native.async(...parameters, settle);
        } catch (error) {
          settle(error, 0);
        }
      });
    },
  };
}

/** The cause stays in OpenSSL's words out of the message: they are of no use to a caller, and the queue is cleared. */
function refused(functions: Functions, what: string): Error {
  functions.clearErrors();
  return new Error(`OpenSSL refuses: ${what}`);
}
