/**
 * What a purse does, apart from how it is run: coins go from one to another, and none is lost or made twice,
 * whatever becomes of messages and of purses. Each gift has a number, is offered until it has been taken, and
 * is taken once. simulated.ts runs this against crashes and cuts, live.ts as actors of a program.
 */
import type { PureActor } from "skein/actors"

export interface Gift {
  readonly to: string
  readonly coins: number
}

export interface Purse {
  readonly coins: number
  /** Gifts that were begun. */
  readonly given: number
  /** Those that nobody has said to have taken, by number. */
  readonly open: Readonly<Record<string, Gift>>
  /** Numbers of gifts that were taken, by who gave them. */
  readonly taken: Readonly<Record<string, ReadonlyArray<number>>>
}

export type PurseMessage =
  | { readonly _tag: "give"; readonly to: string; readonly coins: number }
  | {
      readonly _tag: "offer"
      readonly from: string
      readonly number: number
      readonly coins: number
    }
  | { readonly _tag: "taken"; readonly number: number }
  | { readonly _tag: "again"; readonly number: number }

export type PurseAction =
  | { readonly _tag: "offer"; readonly number: number; readonly gift: Gift }
  | { readonly _tag: "taken"; readonly to: string; readonly number: number }

type PurseStep = readonly [Purse, ReadonlyArray<PurseAction>]

const give = (purse: Purse, gift: Gift): PurseStep => {
  if (gift.coins > purse.coins) return [purse, []]
  const number = purse.given + 1
  const open = { ...purse.open, [number]: gift }
  const coins = purse.coins - gift.coins
  return [{ ...purse, coins, given: number, open }, [{ _tag: "offer", number, gift }]]
}

const take = (purse: Purse, from: string, number: number, coins: number): PurseStep => {
  const said: ReadonlyArray<PurseAction> = [{ _tag: "taken", to: from, number }]
  const before = purse.taken[from] ?? []
  if (before.includes(number)) return [purse, said]
  const taken = { ...purse.taken, [from]: [...before, number] }
  return [{ ...purse, coins: purse.coins + coins, taken }, said]
}

const step = (purse: Purse, message: PurseMessage): PurseStep => {
  switch (message._tag) {
    case "give":
      return give(purse, message)
    case "offer":
      return take(purse, message.from, message.number, message.coins)
    case "taken": {
      const { [message.number]: _, ...open } = purse.open
      return [{ ...purse, open }, []]
    }
    case "again": {
      const gift = purse.open[message.number]
      const { number } = message
      return [purse, gift === undefined ? [] : [{ _tag: "offer", number, gift }]]
    }
  }
}

export const purse: PureActor<Purse, PurseMessage, PurseAction> = {
  initial: { coins: 100, given: 0, open: {}, taken: {} },
  step,
  // A crash has taken what was to be offered again.
  begin: (state) => [
    state,
    Object.entries(state.open).map(([number, gift]) => ({
      ...{ _tag: "offer", number: Number(number), gift }
    }))
  ]
}
