"""Every command: its title in the help, the module that has it, and its line there. Help and completion need no more.

A new command is its file, with `add_commands(commands)`, and its line here.
"""

from __future__ import annotations

from typing import Final

COMMANDS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "get started": {
        "demo": ("_demo", "run an example app with simulated visitors, and its report"),
        "init": ("_init", "print the lines for your framework"),
        "secret": ("_secret", "print a new SOJOURN_SECRET_KEY"),
        "doctor": ("_doctor", "find out why there are no sessions"),
        "settings": ("_show_settings", "show each setting, its value and where that came from"),
        "completion": ("_completion", "print the completion for bash, zsh or fish"),
    },
    "look at sessions": {
        "report": ("_report", "serve the Sessions report to a browser"),
        "stats": ("_stats", "show the figures of the report"),
        "sessions": ("_sessions", "list sessions, show one with its timeline, or follow events"),
        "agents": ("_agents", "show what crawlers, AI assistants and monitors read"),
        "agent-ranges": ("_agent_ranges", "manage the published networks by which agents are verified"),
        "digest": ("_digest", "print or send the figures of a week"),
    },
    "record and deliver": {
        "worker": ("_worker", "record and deliver in a separate process"),
        "status": ("_status", "show recording and delivery health"),
        "outbox": ("_outbox", "list, retry or skip dead letters and waiting events"),
        "check": ("_check", "send a test session to every backend"),
        "fake": ("_fake", "run a fake vendor endpoint locally"),
    },
    "keep and delete data": {
        "import": ("_import", "make sessions of access logs of the time before Sojourn"),
        "recompute": ("_recompute", "show what the past would be by other timeouts, and make it so"),
        "export": ("_export", "export sessions or events as JSON lines or CSV, or one person's data as JSON"),
        "erase": ("_data_subjects", "delete all data of a visitor or a user"),
        "backup": ("_backup", "copy a SQLite store to a file while it is used"),
        "vacuum": ("_backup", "make the file of a SQLite store as small as it can be"),
    },
    "let others read": {
        "tokens": ("_tokens", "make, list or revoke tokens for programs that read figures"),
        "share": ("_share", "make, list or revoke links that show a saved view"),
        "mcp": ("_mcp", "let an assistant read the figures (Model Context Protocol)"),
    },
}
