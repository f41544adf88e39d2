//! What a template may be made of, beyond what the engine's parser takes.
//!
//! The engine's fuel counts instructions and what each makes. It does not count the walk through a value that holds another
//! many times: after `{% set a = [a, a] %}` 27 times, a value of 54 slots prints 134 million items, and comparing it with its
//! like never ends. A list that is repeated with `*` is as small, and as long as its factor says. So values stay flat here: no
//! list, map or tuple can come to hold one that the template has made before, and none is repeated. Whatever is walked through
//! is then what was paid for when it was made.
//!
//! A template needs none of that: an agent's variables are texts and switches.

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, CallType, Expr, Stmt};
use minijinja::machinery::{Span, ast, parse};
use minijinja::syntax::SyntaxConfig;

use crate::context::is_variable;

/// What a list, map or tuple may not hold.
const FLAT: &str = "a list, map or tuple may hold constants and the agent's variables only";
/// Which operands `*` takes.
const REPEATED: &str =
    "`*` takes a constant text and a number, or two numbers: write `x | int` where a number is meant";
/// Which operands `+` takes: two lists have a sum, as long as both.
const ADDED: &str = "`+` needs a constant or one of the agent's variables on one side: join texts with `~`";
/// A variable of the agent stays what it is.
const SHADOWED: &str = "this is one of the agent's variables: give another name to what the template sets itself";
/// Macros are not offered, so there is nothing to import.
const IMPORTED: &str = "nothing can be imported: use `include`";
/// The step of a slice.
const STEPPED: &str = "a slice has no step here";

/// Filters whose result is a text, a number or a switch, whatever they are given.
const SCALAR_FILTERS: [&str; 21] = [
    "lower",
    "upper",
    "title",
    "capitalize",
    "replace",
    "length",
    "count",
    "trim",
    "join",
    "round",
    "abs",
    "int",
    "float",
    "string",
    "bool",
    "indent",
    "quoted",
    "safe",
    "escape",
    "e",
    "format",
];

/// The functions that are not offered: `debug` prints every variable, the others keep values within values.
pub(crate) const NO_FUNCTIONS: [&str; 3] = ["debug", "dict", "namespace"];

/// The filters of the engine that are not offered. What is left beside the scalar ones (`split`, `lines`, `list`, `sort`,
/// `unique`, `reverse`, `first`, `last`, `min`, `max`, `default`) puts no list into another; these can, or walk through one by
/// the name of an attribute, which no value here has.
pub(crate) const NO_FILTERS: [&str; 16] = [
    "attr",
    "batch",
    "chain",
    "dictsort",
    "groupby",
    "items",
    "map",
    "pprint",
    "reject",
    "rejectattr",
    "select",
    "selectattr",
    "slice",
    "sum",
    "tojson",
    "zip",
];

/// What is refused, and on which line.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) line: usize,
    pub(crate) why: &'static str,
}

type Verdict = Result<(), Refused>;

/// Refuses what a template may not be made of. A source that is not well-formed passes: the engine says what is wrong with it.
pub(crate) fn check(source: &str, syntax: SyntaxConfig) -> Verdict {
    parse(source, "", syntax).map_or(Ok(()), |template| statement(&template))
}

fn refuse(span: Span, why: &'static str) -> Verdict {
    Err(Refused {
        line: usize::from(span.start_line),
        why,
    })
}

fn statements(all: &[Stmt<'_>]) -> Verdict {
    all.iter().try_for_each(statement)
}

fn statement(stmt: &Stmt<'_>) -> Verdict {
    match stmt {
        Stmt::Template(node) => statements(&node.children),
        Stmt::EmitExpr(node) => expression(&node.expr),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::ForLoop(node) => {
            target(&node.target)?;
            expression(&node.iter)?;
            node.filter_expr.iter().try_for_each(expression)?;
            statements(&node.body)?;
            statements(&node.else_body)
        }
        Stmt::IfCond(node) => {
            expression(&node.expr)?;
            statements(&node.true_body)?;
            statements(&node.false_body)
        }
        Stmt::WithBlock(node) => {
            for (name, value) in &node.assignments {
                target(name)?;
                expression(value)?;
            }
            statements(&node.body)
        }
        Stmt::Set(node) => {
            target(&node.target)?;
            expression(&node.expr)
        }
        Stmt::SetBlock(node) => {
            target(&node.target)?;
            node.filter.iter().try_for_each(expression)?;
            statements(&node.body)
        }
        Stmt::AutoEscape(node) => {
            expression(&node.enabled)?;
            statements(&node.body)
        }
        Stmt::FilterBlock(node) => {
            expression(&node.filter)?;
            statements(&node.body)
        }
        Stmt::Block(node) => statements(&node.body),
        Stmt::Extends(node) => expression(&node.name),
        Stmt::Include(node) => expression(&node.name),
        Stmt::Import(node) => refuse(node.span(), IMPORTED),
        Stmt::FromImport(node) => refuse(node.span(), IMPORTED),
        Stmt::Do(node) => call(&node.call),
    }
}

/// What a template sets: no variable of the agent.
fn target(expr: &Expr<'_>) -> Verdict {
    match expr {
        Expr::Var(var) if is_variable(var.id) => refuse(var.span(), SHADOWED),
        Expr::List(list) => list.items.iter().try_for_each(target),
        Expr::Tuple(tuple) => tuple.items.iter().try_for_each(target),
        _ => Ok(()),
    }
}

fn expression(expr: &Expr<'_>) -> Verdict {
    match expr {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::Slice(node) => {
            expression(&node.expr)?;
            node.start.iter().chain(&node.stop).try_for_each(expression)?;
            node.step.as_ref().map_or(Ok(()), |step| refuse(step.span(), STEPPED))
        }
        Expr::UnaryOp(node) => expression(&node.expr),
        Expr::BinOp(node) => {
            operands(node, expr.span())?;
            expression(&node.left)?;
            expression(&node.right)
        }
        Expr::Compare(node) => {
            expression(&node.expr)?;
            node.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(node) => {
            expression(&node.test_expr)?;
            expression(&node.true_expr)?;
            node.false_expr.iter().try_for_each(expression)
        }
        Expr::Filter(node) => {
            node.expr.iter().try_for_each(expression)?;
            arguments(&node.args)
        }
        Expr::Test(node) => {
            expression(&node.expr)?;
            arguments(&node.args)
        }
        Expr::GetAttr(node) => expression(&node.expr),
        Expr::GetItem(node) => {
            expression(&node.expr)?;
            expression(&node.subscript_expr)
        }
        Expr::Call(node) => call(node),
        Expr::List(node) => items(&node.items),
        Expr::Tuple(node) => items(&node.items),
        Expr::Map(node) => {
            items(&node.keys)?;
            items(&node.values)
        }
    }
}

/// What a list holds: scalars, and lists of them as they are written.
fn items(all: &[Expr<'_>]) -> Verdict {
    for item in all {
        expression(item)?;
        let is_written = matches!(item, Expr::Const(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_));
        if !is_written && !is_scalar(item) {
            return refuse(item.span(), FLAT);
        }
    }
    Ok(())
}

fn operands(node: &ast::BinOp<'_>, span: Span) -> Verdict {
    let (left, right) = (is_scalar(&node.left), is_scalar(&node.right));
    match node.op {
        BinOpKind::Mul if !left || !right => refuse(span, REPEATED),
        // One scalar is enough: a scalar and a list have no sum.
        BinOpKind::Add if !left && !right => refuse(span, ADDED),
        _ => Ok(()),
    }
}

fn call(node: &Call<'_>) -> Verdict {
    match node.identify_call() {
        CallType::Function(_) | CallType::Block(_) => {}
        CallType::Method(on, _) | CallType::Object(on) => expression(on)?,
    }
    arguments(&node.args)
}

fn arguments(all: &[CallArg<'_>]) -> Verdict {
    all.iter().try_for_each(|argument| expression(value_of(argument)))
}

const fn value_of<'a, 'b>(argument: &'a CallArg<'b>) -> &'a Expr<'b> {
    match argument {
        CallArg::Pos(value) | CallArg::Kwarg(_, value) | CallArg::PosSplat(value) | CallArg::KwargSplat(value) => value,
    }
}

/// Whether the value is certainly a text, a number or a switch.
fn is_scalar(expr: &Expr<'_>) -> bool {
    match expr {
        // A constant may be a whole list: the parser folds them.
        Expr::Const(constant) => constant.value.as_object().is_none(),
        Expr::Var(var) => is_variable(var.id),
        Expr::UnaryOp(_) | Expr::Compare(_) | Expr::Test(_) => true,
        Expr::BinOp(node) => match node.op {
            BinOpKind::ScAnd | BinOpKind::ScOr => is_scalar(&node.left) && is_scalar(&node.right),
            _ => true,
        },
        Expr::IfExpr(node) => {
            let otherwise = node.false_expr.as_ref().is_none_or(is_scalar);
            is_scalar(&node.true_expr) && otherwise
        }
        Expr::Filter(node) if matches!(node.name, "default" | "d") => {
            let given = node.args.iter().map(value_of).all(is_scalar);
            node.expr.as_ref().is_some_and(is_scalar) && given
        }
        Expr::Filter(node) => SCALAR_FILTERS.contains(&node.name),
        Expr::GetAttr(node) => matches!(&node.expr, Expr::Var(var) if var.id == "loop") && is_number_of_loop(node.name),
        Expr::Slice(node) => is_scalar(&node.expr),
        Expr::GetItem(_) | Expr::Call(_) | Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => false,
    }
}

/// What a loop says of itself, but for the items before and behind.
fn is_number_of_loop(name: &str) -> bool {
    matches!(
        name,
        "index" | "index0" | "revindex" | "revindex0" | "first" | "last" | "length" | "depth" | "depth0"
    )
}
