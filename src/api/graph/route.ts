/** One operation of Microsoft Graph, as a row, and what its handler is given. */
import type { GenericSchema, InferOutput } from 'valibot';
import type { Clock } from '../../core/clock.ts';
import type { Principal } from '../../core/principal.ts';
import type { Random } from '../../core/random.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import type { Tenant } from '../../domain/resources/directory-store.ts';
import type { SecretHasher } from '../../identity/client-secrets.ts';
import type { DirectoryCache } from '../../identity/directory-cache.ts';
import type { ClientCredential, PrincipalRecord, PrincipalStore } from '../../identity/principals.ts';
import type { TokenValidator } from '../../identity/validator.ts';
import type { Hosts } from '../hosts.ts';
import type { Query } from '../request-target.ts';

export interface GraphDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly hosts: Pick<Hosts, 'loginOrigin'>;
  readonly validator: TokenValidator;
  readonly directory: DirectoryCache;
  readonly store: PrincipalStore;
  readonly hasher: SecretHasher;
  readonly addSecret: (input: {
    objectId: string;
    expires: number;
    displayName?: string | undefined;
  }) => Promise<{ credential: ClientCredential; secret: SecretBytes }>;
  readonly tenants: () => Promise<readonly Tenant[]>;
}

/** A request of a caller who may make it. */
export interface GraphCall<Body = undefined> {
  readonly deps: GraphDeps;
  readonly caller: Principal;
  /** The caller as the directory has it. */
  readonly callerRecord: PrincipalRecord;
  readonly tenant: Tenant;
  /** The path's parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** `https://host[:port]/v1.0`, or `/beta`, as the request came in. */
  readonly base: string;
  /** The path below that, normalized, for links to further pages. */
  readonly path: string;
}

export interface GraphReply {
  readonly status: number;
  readonly body?: object | undefined;
  /** The object's id, for the audit record. */
  readonly id?: string;
}

export interface GraphRoute {
  /** The audit log's operationName. */
  readonly audit: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** For find-my-way, without regard to case. */
  readonly path: string;
  /** Whether it changes the directory, which only its administrators may. */
  readonly changes: boolean;
  readonly schema: GenericSchema | undefined;
  readonly handle: (call: GraphCall<never>) => Promise<GraphReply>;
}

/** Makes a row, tying the handler's body type to the schema. */
export function graphRoute<S extends GenericSchema | undefined = undefined>(
  row: Omit<GraphRoute, 'schema' | 'handle'> & {
    schema?: S;
    handle: (call: GraphCall<S extends GenericSchema ? InferOutput<S> : undefined>) => Promise<GraphReply>;
  },
): GraphRoute {
  return { ...row, schema: row.schema, handle: row.handle as GraphRoute['handle'] };
}
