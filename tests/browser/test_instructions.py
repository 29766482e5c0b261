"""The reader of walk-through pages: what it finds, in which order, and what it leaves to people."""

from __future__ import annotations

from tests.support.instructions import Instruction, instructions_of

PAGE = """
1. Press **Open**. Then a sentence for people, with **bold** words.
2. Type `{run}/model` into **Folder**
   and Press **Load**.

```
Press **nothing**.
```

3. Choose **weaken** under **Goal**. Tick **again**. You see **finished**. You get the file **.zip**.
"""


def test_they_are_read_in_order_and_code_is_passed_over() -> None:
    assert instructions_of(PAGE) == [
        Instruction("press", "Open"),
        Instruction("type", "Folder", "{run}/model"),
        Instruction("press", "Load"),
        Instruction("choose", "Goal", "weaken"),
        Instruction("tick", "again"),
        Instruction("see", "finished"),
        Instruction("get", ".zip"),
    ]
