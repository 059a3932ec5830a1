import { expect, it } from "vitest"
import { rootIdOf } from "../mesh/trust/Root.ts"
import { addRoot, withdrawOthers } from "../mesh/trust/RootStatement.ts"
import { Roots } from "../mesh/trust/Roots.ts"
import { signingKeyFromSeed } from "../mesh/trust/SigningKey.ts"
import { NodeName } from "../model/Names.ts"
import { rootFindings } from "./RootTroubles.ts"

const day = 86_400_000
const now = 1_800_000_000_000
const key = (n: number) => signingKeyFromSeed(new Uint8Array(32).fill(n))
const founded = Roots.founded(key(1).publicKey.raw)
const window = { notBefore: now - day, notAfter: now + 365 * day }
const added = (by: number, root: number) =>
  addRoot(key(by), founded.mesh, key(root).publicKey.raw, now, window)
const host = NodeName.make("host-a")
const kinds = (roots: Roots, at: number) => rootFindings(roots, host, at).map(({ kind }) => kind)

it("a rotation that nobody finishes is told after two days, until somebody does", () => {
  expect(kinds(founded, now + 9 * day)).toEqual([])
  const two = founded.hear([added(1, 2)])
  expect(kinds(two, now + day)).toEqual([])
  expect(kinds(two, now + 2 * day)).toEqual(["root_unfinished"])
  expect(rootFindings(two, host, now + 3 * day)[0]?.message).toContain(
    `added 3 d ago, and what it is to replace still counts: ${founded.newest.id}`
  )
  const one = two.hear([withdrawOthers(key(2), founded.mesh, { at: now, stay: [], kept: [] })])
  expect(kinds(one, now + 9 * day)).toEqual([])
})

it("two successors of one root are told at once, until one of them withdraws the other", () => {
  const forked = founded.hear([added(1, 2), added(1, 3)])
  const [finding] = rootFindings(forked, host, now)
  expect(finding).toMatchObject({ kind: "root_forked", nodes: [host] })
  for (const root of [1, 2, 3]) {
    expect(finding?.message).toContain(rootIdOf(key(root).publicKey.raw))
  }
  // One behind the other is none.
  expect(kinds(founded.hear([added(1, 2), added(2, 3)]), now)).toEqual([])
  const over = forked.hear([withdrawOthers(key(3), founded.mesh, { at: now, stay: [], kept: [] })])
  expect(kinds(over, now)).toEqual([])
})
