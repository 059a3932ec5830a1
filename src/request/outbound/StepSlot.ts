/**
 * What the two kinds of steps (CallStep, EndpointStep) are made with: hooks of which each step has
 * those it wants, and a place for what it keeps of one call or attempt.
 */

/** A call, or an attempt. Undefined as long as no step keeps anything of it: most never do. */
export interface SlotHolder {
  slots: Array<unknown> | undefined
}

let kinds = 0

/**
 * Where the steps of one kind keep what they know of one call or attempt. One for each kind, made
 * with its file: the places are counted up and never given back. Two steps of one kind in one stack
 * would share it.
 */
export class StepSlot<State> {
  readonly #index = kinds++

  of(holder: SlotHolder): State | undefined {
    // Only this slot writes at its index.
    return holder.slots?.[this.#index] as State | undefined
  }

  put(holder: SlotHolder, state: State | undefined): void {
    holder.slots ??= []
    holder.slots[this.#index] = state
  }
}

/** Those of them that have this hook, in their order: the others cost nothing where it is called. */
export const having = <Hooks extends object, Hook extends keyof Hooks>(
  all: ReadonlyArray<Hooks>,
  hook: Hook
): ReadonlyArray<Hooks & Required<Pick<Hooks, Hook>>> =>
  all.filter((one): one is Hooks & Required<Pick<Hooks, Hook>> => one[hook] !== undefined)
