//! Records of organizations, gateways, boards, agents and their runs, behind traits; memory and SQLite.
