/** Role assignments: who was given which role where, and the port to where they are kept. */

/** What Azure calls the kinds of principals. */
export type PrincipalType = 'User' | 'Group' | 'ServicePrincipal' | 'ForeignGroup' | 'Device';

/** A role given to a principal at a scope and everything below it. */
export interface RoleAssignment {
  /** GUID, lower case. */
  readonly id: string;
  readonly tenantId: string;
  /** Object id of a user, group, application or managed identity; the directory need not know it. */
  readonly principalId: string;
  /** The role definition's GUID, lower case. */
  readonly roleId: string;
  /** `/`, or an ARM id: management group, subscription, resource group, vault, one object of a vault, managed identity. */
  readonly scope: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly principalType?: PrincipalType | undefined;
  /** Under what it counts (`conditions.ts`); always, if there is none. */
  readonly condition?: string | undefined;
  readonly description?: string | undefined;
  /** Object ids of who wrote it first and last; undefined for what an operator's command made. */
  readonly createdBy?: string | undefined;
  readonly updatedBy?: string | undefined;
  /** Milliseconds since 1970; undefined if it is as it was made. */
  readonly updated?: number | undefined;
}

/**
 * What became of an assignment that was to be written: it is there now, under its id alone; or another one gives the
 * same role to the same principal at the same scope (`exists`); or its id is that of one that gives something else
 * (`differs`); or the subscription has too many (`full`); or what it is to be on, or its role, is gone.
 */
export type PutOutcome =
  | {
      readonly outcome: 'created' | 'updated' | 'exists' | 'differs';
      readonly assignment: RoleAssignment;
    }
  | { readonly outcome: 'full' | 'scopeAbsent' | 'roleAbsent' };

/** An assignment to be written, and what must be there until it is. */
export interface AssignmentWrite {
  readonly assignment: RoleAssignment;
  /** Where the scope is: lower-cased subscription, the names of resource group and of vault or managed identity. */
  readonly place: {
    readonly subscriptionId?: string | undefined;
    readonly resourceGroup?: string | undefined;
    readonly vault?: string | undefined;
    readonly identity?: string | undefined;
  };
  readonly isCustomRole: boolean;
  /** How many assignments a subscription can have. */
  readonly most: number;
}

/** An assignment to be taken away. */
export interface AssignmentRemoval {
  readonly id: string;
  /** Only if it still gives the same role to the same principal at the same scope. */
  readonly was?: RoleAssignment | undefined;
  /** Not if no other assignment gives one of these roles at its scope without a condition: it is the `last` then. */
  readonly unlessLastOf?: readonly string[] | undefined;
}

/** Azure's limit of assignments in a subscription, whatever their scope in it. */
export const mostAssignments = 4000;

/** Port: the assignments of principals, and changing them. */
export interface RoleAssignmentStore {
  /** Those that name one of the principals themselves, in the order of their ids. */
  ofPrincipals(principalIds: readonly string[]): Promise<readonly RoleAssignment[]>;
  /** All, or a tenant's, in the order of their ids. */
  list(tenantId?: string): Promise<readonly RoleAssignment[]>;
  byId(id: string): Promise<RoleAssignment | undefined>;
  /** Adds the assignment; answers the one already there with the same principal, role and scope, if any. */
  add(assignment: RoleAssignment): Promise<RoleAssignment>;
  /** Adds the assignment, or gives the one with its id another condition and description. */
  put(write: AssignmentWrite): Promise<PutOutcome>;
  remove(removal: AssignmentRemoval): Promise<'removed' | 'missing' | 'last'>;
}
