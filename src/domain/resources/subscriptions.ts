/** A subscription's tags, and the names that its tags can have before any tag has them (Azure's tag taxonomy). */
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { DirectoryStore, Subscription, TagNames, Tags } from './directory-store.ts';
import { assertTags } from './tags.ts';

export interface Subscriptions {
  setTags(id: string, change: (tags: Tags) => Tags): Promise<Tags>;
  tagNames(id: string): Promise<TagNames>;
  /** Makes the name; answers it as it was made first, and whether it is new. */
  addTagName(id: string, name: string): Promise<{ name: string; isNew: boolean }>;
  /** Makes the value of a name that is there; throws for one that is not. */
  addTagValue(id: string, name: string, value: string): Promise<{ name: string; isNew: boolean }>;
  /** False if there was none. */
  removeTagName(id: string, name: string): Promise<boolean>;
  removeTagValue(id: string, name: string, value: string): Promise<boolean>;
}

/** Of names, and of values of one: what is read at once stays small. */
const most = 100;

export function createSubscriptions(store: DirectoryStore): Subscriptions {
  const get = async (id: string): Promise<Subscription> => {
    const found = (await store.subscriptions()).find((entry) => entry.id === id);
    if (found === undefined)
      throw new Failure('subscriptionNotFound', `The subscription '${id}' could not be found.`);
    return found;
  };
  /** `edit` answers undefined where there is nothing to do; whether it did something comes out. */
  const change = async (id: string, edit: (names: TagNames) => TagNames | undefined): Promise<boolean> => {
    for (;;) {
      const was = await store.tagNames(id);
      const next = edit(was);
      if (next === undefined) return false;
      // Refused when somebody else has changed them since they were read.
      if (await store.replaceTagNames(id, next, was)) return true;
    }
  };
  return {
    async setTags(id, edit) {
      for (;;) {
        const { tags: was } = await get(id);
        const tags = edit(was);
        assertTags(tags);
        if (await store.replaceSubscriptionTags(id, tags, was)) return tags;
      }
    },
    tagNames: (id) => store.tagNames(id),
    async addTagName(id, name) {
      assertTags({ [name]: '' });
      let known = name;
      const isNew = await change(id, (names) => {
        known = keyIn(names, name) ?? name;
        if (Object.hasOwn(names, known)) return undefined;
        return bounded({ ...names, [name]: [] });
      });
      return { name: known, isNew };
    },
    async addTagValue(id, name, value) {
      assertTags({ [name]: value });
      let known = name;
      const isNew = await change(id, (names) => {
        const key = keyIn(names, name);
        if (key === undefined) throw tagNameAbsent(name);
        known = key;
        const values = names[key] ?? [];
        return values.includes(value) ? undefined : bounded({ ...names, [key]: [...values, value] });
      });
      return { name: known, isNew };
    },
    removeTagName: (id, name) =>
      change(id, (names) => {
        const key = keyIn(names, name);
        return key === undefined ? undefined : without(names, key);
      }),
    removeTagValue: (id, name, value) =>
      change(id, (names) => {
        const key = keyIn(names, name);
        if (key === undefined) throw tagNameAbsent(name);
        const values = names[key] ?? [];
        if (!values.includes(value)) return undefined;
        return { ...names, [key]: values.filter((each) => each !== value) };
      }),
  };
}

/** The name as it stands there; names compare without case. */
function keyIn(names: TagNames, name: string): string | undefined {
  return Object.keys(names).find((known) => foldCase(known) === foldCase(name));
}

function without(names: TagNames, key: string): TagNames {
  return Object.fromEntries(Object.entries(names).filter(([name]) => name !== key));
}

function bounded(names: TagNames): TagNames {
  const lists = Object.values(names);
  if (lists.length > most || lists.some((values) => values.length > most))
    throw new Failure('badParameter', `There are at most ${most} tag names, with ${most} values each.`);
  return names;
}

function tagNameAbsent(name: string): Failure {
  return new Failure('notFound', `The tag name '${name.slice(0, 64)}' could not be found.`);
}
