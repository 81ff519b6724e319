/** The rules of tags on resource groups and resources (Azure's documented limits). Names compare without case. */
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import type { Tags } from './directory-store.ts';

const most = 50;
const longestName = 512;
const longestValue = 256;

/** Throws for tags that a resource cannot have. */
export function assertTags(tags: Tags): void {
  const entries = Object.entries(tags);
  if (entries.length > most) throw invalid(`A resource has at most ${most} tags.`);
  if (new Set(entries.map(([name]) => foldCase(name))).size < entries.length)
    throw invalid('Two tags have the same name; names compare without case.');
  for (const [name, value] of entries) {
    if (name === '' || name.length > longestName)
      throw invalid(`A tag's name has 1 to ${longestName} characters.`);
    if (value.length > longestValue) throw invalid(`A tag's value has at most ${longestValue} characters.`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    if (/[<>%&\\?/\u0000-\u001f\u007f]/.test(name))
      throw invalid(`The tag name '${name}' has a character that names must not have.`);
    if (!name.isWellFormed() || !value.isWellFormed() || value.includes('\0'))
      throw invalid('A tag has a character that cannot be stored.');
  }
}

/** What a change of tags does with those that are there. */
export type TagsOperation = 'Merge' | 'Replace' | 'Delete';

/** The tags after the change. `Delete` takes away those of the same name and value. */
export function changeTags(tags: Tags, operation: TagsOperation, given: Tags): Tags {
  if (operation === 'Replace') return given;
  const names = new Map(Object.entries(given).map(([name, value]) => [foldCase(name), value]));
  if (operation === 'Delete')
    return Object.fromEntries(
      Object.entries(tags).filter(([name, value]) => names.get(foldCase(name)) !== value),
    );
  const kept = Object.entries(tags).filter(([name]) => !names.has(foldCase(name)));
  return Object.fromEntries([...kept, ...Object.entries(given)]);
}

function invalid(message: string): Failure {
  return new Failure('invalidRequestContent', message);
}
