/**
 * Whether a condition on a role assignment holds. What is asked of an attribute that is not known is neither true
 * nor false, and its negation is no truer; only a condition that is true lets anybody do anything.
 */
import { foldCase } from '../core/names.ts';
import { type Attribute, ConditionRefused, type Expression, parseCondition } from './condition-parser.ts';

/** An assignment's values, as conditions ask for them; one that is missing is not known. */
export type AttributeValues = Readonly<Partial<Record<Attribute, string>>>;

/** The assignment that is to be written, or the one that is to be deleted. */
export interface ConditionSubject {
  readonly Request?: AttributeValues;
  readonly Resource?: AttributeValues;
}

export type Verdict = 'holds' | 'fails' | 'unknown';

/** A parsed condition: whether it holds for an action (in any case) and what is known of the assignment in question. */
export type Condition = (action: string, subject: ConditionSubject) => Verdict;

/** What a stored condition means. One that cannot be read, as an older or newer version may leave it, never holds. */
export function compileCondition(text: string): Condition {
  try {
    const expression = parseCondition(text);
    return (action, subject) => evaluate(expression, { action: foldCase(action), subject });
  } catch (error) {
    if (!(error instanceof ConditionRefused)) throw error;
    return () => 'fails';
  }
}

interface Asked {
  readonly action: string;
  readonly subject: ConditionSubject;
}

function evaluate(expression: Expression, asked: Asked): Verdict {
  switch (expression.kind) {
    case 'or':
      return any(expression.parts.map((part) => evaluate(part, asked)));
    case 'and':
      return negated(any(expression.parts.map((part) => negated(evaluate(part, asked)))));
    case 'not':
      return negated(evaluate(expression.part, asked));
    case 'action':
      return verdict(expression.action === asked.action);
    default: {
      const value = asked.subject[expression.source]?.[expression.attribute];
      if (value === undefined) return 'unknown';
      return verdict(expression.values.includes(foldCase(value)) === (expression.kind === 'oneOf'));
    }
  }
}

function verdict(holds: boolean): Verdict {
  return holds ? 'holds' : 'fails';
}

function negated(of: Verdict): Verdict {
  if (of === 'unknown') return of;
  return verdict(of === 'fails');
}

function any(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('holds')) return 'holds';
  return verdicts.includes('unknown') ? 'unknown' : 'fails';
}
