/** One operation of the management plane (Azure Resource Manager), as a row. */
import type { GenericSchema, InferOutput } from 'valibot';
import type { Principal } from '../../core/principal.ts';
import type { Query } from '../request-target.ts';

export type ManagementMethod = 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

/** The path's parameters, decoded, in the case that the caller wrote. */
export type PathParameters = Readonly<Record<string, string>>;

/** A request that has passed every check of the pipeline. */
export interface ManagementCall<Body = undefined> {
  readonly params: PathParameters;
  readonly query: Query;
  /** The path, decoded, without doubled slashes, for links to further pages. */
  readonly path: string;
  readonly body: Body;
  /** `2023-07-01`, as the caller wrote it; one that the row's provider has. */
  readonly apiVersion: string;
  readonly principal: Principal;
  /** The tenant of the subscription in the path, or else of the caller. */
  readonly tenantId: string;
  /** `https://host[:port]` of the management plane, in the family of names that the request came in by. */
  readonly origin: string;
  readonly family: 'own' | 'azure';
  /** Throws for an action that the caller may not do at the scope. */
  readonly authorize: (action: string, scope: string) => void;
  /** Whether the caller may do this at the scope: lists show no more than what their caller may read. */
  readonly may: (action: string, scope: string) => boolean;
  /** Whether the caller has any role at the scope, above it or below it. */
  readonly hasRoleIn: (scope: string) => boolean;
}

export interface ManagementReply {
  readonly status: number;
  readonly body: object | undefined;
  /** Such as `Location` and `Retry-After` of a long-running operation. */
  readonly headers?: readonly (readonly [string, string])[];
  /** Id of the resource, for the audit record. */
  readonly id?: string;
}

export interface ManagementRoute {
  /** The OpenAPI's operationId, or the provider's own name for it. */
  readonly operation: string;
  /** The audit log's operationName. */
  readonly audit: string;
  readonly method: ManagementMethod;
  /**
   * For find-my-way, without regard to case; it begins with `/`, or with `{scope}` for what stands below any ARM id:
   * `params.scope` is that id then, or '' for the root. `:name` is a parameter.
   */
  readonly path: string;
  /** Key of the table of api-versions (`api/management/versions.ts`). */
  readonly provider: string;
  /** The api-version from which on the provider has this; by default its first. */
  readonly since?: string;
  /** The Azure RBAC action, such as `Microsoft.KeyVault/vaults/write`; undefined: any caller with a token may. */
  readonly action: string | undefined;
  /**
   * The handler asks for the action again, with what conditions of role assignments may ask about: until then those
   * that cannot be told do not refuse.
   */
  readonly asksAgain?: true;
  /** The ARM scope that the action is asked at; by default the longest resource id in the path. */
  readonly scope?: (params: PathParameters) => string;
  /** Whether locks do not stand in its way; by default those of writes and deletions do, as `action` says. */
  readonly passesLocks?: true;
  readonly schema: GenericSchema | undefined;
  readonly handle: (call: ManagementCall<never>) => Promise<ManagementReply>;
}

/** Makes a row, tying the handler's body type to the schema. */
export function managementRoute<S extends GenericSchema | undefined = undefined>(
  row: Omit<ManagementRoute, 'schema' | 'handle'> & {
    schema?: S;
    handle: (
      call: ManagementCall<S extends GenericSchema ? InferOutput<S> : undefined>,
    ) => Promise<ManagementReply>;
  },
): ManagementRoute {
  return { ...row, schema: row.schema, handle: row.handle as ManagementRoute['handle'] };
}
