/** What `skein up` and `skein join` are run from, as a script. */
import { main } from "../cli/Main.ts"
import { runSkeinNode } from "../cli/SkeinNode.ts"

main(runSkeinNode)
