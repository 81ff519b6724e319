/** The `$filter` of lists of resources and resource groups. */
import { Failure, isFailure } from '../../core/errors.ts';
import type { Tags } from '../../domain/resources/directory-store.ts';
import { type Filterable, holds, parseFilter } from '../graph/odata-filter.ts';

/** What a filter can ask of a resource. */
export interface Filtered {
  readonly name: string;
  readonly type: string;
  readonly location: string;
  readonly resourceGroup: string;
  readonly tags: Tags;
}

const properties: Filterable = {
  name: 'string',
  location: 'string',
  resourceType: 'string',
  resourceGroup: 'string',
  tagName: 'string',
  tagValue: 'string',
};

/** A test of resources; everything passes if there is no filter. What is not supported is refused, never ignored. */
export function resourceFilter(text: string | null): (resource: Filtered) => boolean {
  if (text === null || text === '') return () => true;
  const filter = parsed(text);
  return ({ name, location, type, resourceGroup, tags }) => {
    const entity = { name, location, resourceType: type, resourceGroup };
    const entries = Object.entries(tags);
    // `tagName` and `tagValue` are those of one tag, whichever it is.
    if (entries.length === 0) return holds(filter, entity);
    return entries.some(([tagName, tagValue]) => holds(filter, { ...entity, tagName, tagValue }));
  };
}

function parsed(text: string) {
  try {
    return parseFilter(text, properties, ['startswith', 'substringof']);
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw new Failure(
      'invalidFilter',
      `Invalid $filter '${text.slice(0, 256)}' specified in the query string. ${error.message}`,
    );
  }
}
