/** What is wrong with a body, in words for its sender. The values that he sent are never among them. */
import type * as v from 'valibot';

const types: Readonly<Record<string, string>> = {
  Array: 'an array',
  Object: 'an object',
  boolean: 'true or false',
  number: 'a number',
  string: 'a string',
};

/** For `v.safeParse`: the first offence alone, in these words where the schema has none of its own. */
export const bodyChecks = {
  abortEarly: true,
  message: (issue: v.BaseIssue<unknown>): string => {
    const { kind, type, expected, received } = issue;
    if (kind !== 'schema') return ofValidation(type, expected ?? '');
    // Valibot names the member that is missing in quotes, as it does a literal.
    if (type.endsWith('object') && received === 'undefined' && expected?.startsWith('"'))
      return `${expected} is required.`;
    const wanted = (expected ?? '').replace(/^\((.*)\)$/, '$1').split(' | ');
    return `It has to be ${wanted.map((name) => types[name] ?? name).join(' or ')}.`;
  },
} as const;

/** `expected` is a comparison (`>=3`) where the check is one. */
function ofValidation(type: string, expected: string): string {
  const bound = expected.replace(/^\D+/, '');
  switch (type) {
    case 'integer':
      return 'It has to be an integer.';
    case 'min_value':
      return `It has to be at least ${bound}.`;
    case 'max_value':
      return `It has to be at most ${bound}.`;
    case 'length':
      return `Its length has to be ${bound}.`;
    case 'min_length':
      return `Its length has to be at least ${bound}.`;
    case 'max_length':
      return `Its length has to be at most ${bound}.`;
    case 'non_empty':
      return 'It must not be empty.';
    default:
      return 'It does not have the form that is wanted.';
  }
}
