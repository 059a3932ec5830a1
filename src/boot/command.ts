/** What `skein up` and `skein join` are run from, as a script. */
import { main } from "../cli/Main.ts"
import { runSkeinNode } from "../cli/SkeinNode.ts"
import { nodeWasUp } from "../cli/up.ts"

/** For KeptCode.ts. */
export const isReady = nodeWasUp

main(runSkeinNode)
