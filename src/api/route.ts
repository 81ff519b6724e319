/** One operation of the vault data plane, as a row: everything that tells it from the others. */
import type { GenericSchema, InferOutput } from 'valibot';
import type { Action } from '../authorization/actions.ts';
import type { StoredKind } from '../core/names.ts';
import type { VaultGrant } from '../domain/vaults/vault.ts';
import type { Query } from './request-target.ts';
import type { ApiVersion, KnownVersion } from './versions.ts';

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** What a handler answers: `body` is sent as JSON, or `text`, which is JSON already; `id` goes to the audit record. */
export interface Reply {
  readonly status: number;
  readonly body: object | undefined;
  readonly text?: string;
  readonly id?: string | undefined;
  /** Besides those of every answer: name and value in turn. */
  readonly headers?: readonly string[];
}

/** A request that has passed every check of the pipeline. */
export interface VaultCall<Body = undefined> {
  readonly grant: VaultGrant;
  readonly apiVersion: ApiVersion;
  /** The version in the path, if there is one; its form is not checked. */
  readonly version: string | undefined;
  readonly query: Query;
  readonly body: Body;
  /** `https://host[:port]`: the vault's own name in the family that the request came in by. */
  readonly origin: string;
}

export interface VaultRoute {
  /** The OpenAPI's operationId. */
  readonly operation: string;
  /** The audit log's operationName. */
  readonly audit: string;
  readonly method: Method;
  /** `:name` is the object, `:version?` its version, which may be left out wherever it stands. */
  readonly path: string;
  /** The api-version that brought the operation; undefined for those that every version has. */
  readonly since: KnownVersion | undefined;
  readonly action: Action;
  readonly kind: StoredKind;
  /** Bytes of the largest body that is read. */
  readonly maxBody: number;
  readonly schema: GenericSchema | undefined;
  readonly handle: (call: VaultCall<never>) => Reply | Promise<Reply>;
}

const usualBody = 512 * 1024;

/** Makes a row, tying the handler's body type to the schema. */
export function vaultRoute<S extends GenericSchema | undefined = undefined>(
  row: Omit<VaultRoute, 'schema' | 'handle' | 'maxBody' | 'since'> & {
    schema?: S;
    maxBody?: number;
    since?: KnownVersion;
    handle: (call: VaultCall<S extends GenericSchema ? InferOutput<S> : undefined>) => Reply | Promise<Reply>;
  },
): VaultRoute {
  return {
    ...row,
    schema: row.schema,
    since: row.since,
    maxBody: row.maxBody ?? usualBody,
    handle: row.handle as VaultRoute['handle'],
  };
}
