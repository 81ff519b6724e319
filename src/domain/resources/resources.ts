/** Resources of every kind, as the management plane lists them without knowing what they are. */
import { parseScope, scopeKey } from '../../authorization/scopes.ts';
import { foldCase } from '../../core/names.ts';
import type { Principal } from '../../core/principal.ts';
import type { Tags } from './directory-store.ts';
import { assertTags } from './tags.ts';

/** What all resources have. Times are Unix milliseconds. */
export interface Resource {
  /** ARM id. */
  readonly id: string;
  readonly name: string;
  /** Such as `Microsoft.KeyVault/vaults`. */
  readonly type: string;
  readonly resourceGroup: string;
  readonly location: string;
  readonly tags: Tags;
  readonly created: number;
  readonly changed: number;
}

/** Port: the resources of one type. */
export interface ResourceProvider {
  readonly type: string;
  /** Those of the subscription that are not deleted. */
  list(subscriptionId: string): Promise<readonly Resource[]>;
  /** Undefined if there is none of this name, or if it is not in this subscription and group. */
  find(at: { subscriptionId: string; resourceGroup: string; name: string }): Promise<Resource | undefined>;
  setTags(resource: Resource, change: (tags: Tags) => Tags, by: Principal): Promise<Resource>;
}

export interface Resources {
  /** In the order of their lower-cased ids. */
  list(subscriptionId: string): Promise<readonly Resource[]>;
  /**
   * The resource with this ARM id, or the one in which what it names is: a secret is in its vault. Undefined if there
   * is none, or if its type is not served here.
   */
  find(id: string): Promise<Resource | undefined>;
  /** Changes the tags of the resource that `find` answered. */
  setTags(resource: Resource, change: (tags: Tags) => Tags, by: Principal): Promise<Resource>;
}

export function createResources(providers: readonly ResourceProvider[]): Resources {
  const byType = new Map(providers.map((provider) => [foldCase(provider.type), provider]));
  return {
    async list(subscriptionId) {
      const lists = await Promise.all(providers.map((provider) => provider.list(subscriptionId)));
      return lists.flat().sort((a, b) => (scopeKey(a.id) < scopeKey(b.id) ? -1 : 1));
    },
    async find(id) {
      const scope = parseScope(id);
      if (scope?.kind !== 'resource') return undefined;
      const [type = '', name = ''] = scope.path;
      const { subscriptionId, resourceGroup } = scope;
      return byType.get(foldCase(`${scope.provider}/${type}`))?.find({
        ...{ subscriptionId: foldCase(subscriptionId), resourceGroup, name },
      });
    },
    async setTags(resource, change, by) {
      const provider = byType.get(foldCase(resource.type));
      if (provider === undefined) throw new TypeError(`no provider of ${resource.type}`);
      const checked = (tags: Tags) => {
        const next = change(tags);
        assertTags(next);
        return next;
      };
      return provider.setTags(resource, checked, by);
    },
  };
}
